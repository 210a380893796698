package catalog

import "context"

// ListStatement is the statement of a list that begins after an image.
func ListStatement(ctx context.Context, tx *Tx, v Viewer, q ImageQuery, after *Image) (string, []any, error) {
	l := lister{query: q, order: fullOrder(q.Sort), after: after}
	text, err := l.build(ctx, tx, v)
	return text, l.args, err
}
