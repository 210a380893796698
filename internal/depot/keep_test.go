package depot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// The tests of keeping play the part of internal/images: an image is a row
// with an object, its card's record is its name.

func insertImage(ctx context.Context, tx *catalog.Tx, id, project, name string, object, version, card, deleted int64) error {
	// Columns beyond those that the depot reads get what their type allows.
	rows, err := tx.Query(ctx, `SELECT * FROM image WHERE 1 = 0`)
	if err != nil {
		return err
	}
	types, err := rows.ColumnTypes()
	rows.Close()
	if err != nil {
		return err
	}
	known := map[string]any{
		"id": id, "name": name, "owner": project, "realm": project, "object": object,
		"version": version, "card_version": card, "deleted_at": deleted,
	}
	var columns []string
	var args []any
	for _, c := range types {
		v, ok := known[c.Name()]
		if !ok {
			switch kind := strings.ToUpper(c.DatabaseTypeName()); {
			case strings.HasPrefix(kind, "BOOL"):
				v = false
			case kind == "TEXT":
				v = ""
			default:
				v = int64(0)
			}
		}
		columns, args = append(columns, c.Name()), append(args, v)
	}
	var set []string
	for _, c := range []string{"name", "object", "version", "card_version", "deleted_at"} {
		set = append(set, c+" = excluded."+c)
	}
	_, err = tx.Exec(ctx, `INSERT INTO image (`+strings.Join(columns, ", ")+`) VALUES (`+placeholders(1, len(args))+`)
		ON CONFLICT (id) DO UPDATE SET `+strings.Join(set, ", "), args...)
	return err
}

// putImage stores an image to the end: object and row, then card.
func (w *world) putImage(project, name string, p []byte) (string, int64, error) {
	ctx := context.Background()
	hex := fmt.Sprintf("%016x%016x", catalog.NewID(), catalog.NewID())
	id := hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:]
	wr, err := w.Create(ctx, CreateOptions{Project: project, Kind: KindExact})
	if err != nil {
		return "", 0, err
	}
	defer wr.Abort()
	if _, err := wr.Write(p); err != nil {
		return "", 0, err
	}
	o, err := wr.Commit(Digests{}, func(tx *catalog.Tx, o ObjectInfo) error {
		return insertImage(ctx, tx, id, project, name, o.Ref, 1, 0, 0)
	})
	if err != nil {
		return "", 0, err
	}
	return id, o.Ref, w.putCard(testCard(id, project, name, o.Ref, 1, false))
}

func testCard(id, project, name string, object, version int64, deleted bool) Card {
	record, _ := json.Marshal(name)
	return Card{Image: id, Project: project, Version: version, Deleted: deleted, Object: object, Record: record}
}

func (w *world) putCard(c Card) error {
	if err := w.PutCard(context.Background(), c); err != nil {
		return err
	}
	return w.exec(`UPDATE image SET card_version = $2 WHERE id = $1`, c.Image, c.Version)
}

func (w *world) exec(query string, args ...any) error {
	return w.db.Update(context.Background(), func(tx *catalog.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	})
}

func (w *world) mustPutImage(project, name string, p []byte) (string, int64) {
	w.tb.Helper()
	id, ref, err := w.putImage(project, name, p)
	if err != nil {
		w.tb.Fatal(err)
	}
	return id, ref
}

// deleteImage deletes an image to the end: row, then delete card.
func (w *world) deleteImage(id string) error {
	ctx := context.Background()
	var version, object int64
	var project string
	err := w.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT version, object, owner FROM image WHERE id = $1`, id).Scan(&version, &object, &project); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE image SET deleted_at = 1, object = 0, was_object = $3, version = $2 WHERE id = $1`, id, version+1, object)
		return err
	})
	if err != nil {
		return err
	}
	return w.putCard(testCard(id, project, "", object, version+1, true))
}

func (w *world) mustDelete(id string) {
	w.tb.Helper()
	if err := w.deleteImage(id); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) mustCollect(opt CollectOptions) Report {
	w.tb.Helper()
	rep, err := w.Collect(context.Background(), opt)
	if err != nil {
		w.tb.Fatal(err)
	}
	return rep
}

// blobs sums what the store holds under a prefix.
func (w *world) blobs(prefix string) Tally {
	w.tb.Helper()
	var t Tally
	for info, err := range w.store.List(context.Background(), prefix) {
		if err != nil {
			w.tb.Fatal(err)
		}
		t.add(info.Size)
	}
	return t
}

// mustVerify scrubs and wants no finding.
func (w *world) mustVerify() VerifyReport {
	w.tb.Helper()
	rep, err := w.Verify(context.Background(), VerifyOptions{Card: compareName}, func(f Finding) { w.tb.Errorf("finding: %v", f) })
	if err != nil {
		w.tb.Fatal(err)
	}
	return rep
}

// compareName is the test's VerifyOptions.Card.
func compareName(ctx context.Context, tx *catalog.Tx, c Card) error {
	var name, card string
	if err := tx.QueryRow(ctx, `SELECT name FROM image WHERE id = $1`, c.Image).Scan(&name); err != nil {
		return err
	}
	if err := json.Unmarshal(c.Record, &card); err != nil {
		return err
	}
	if name != card {
		return fmt.Errorf("%w: name %q, on its card %q", ErrDamaged, name, card)
	}
	return nil
}

// restoreImage is the test's Restore.
func restoreImage(ctx context.Context, tx *catalog.Tx, c Card, obj *ObjectInfo) error {
	var name string
	var object, deleted int64
	if c.Deleted {
		deleted = 1
	} else if err := json.Unmarshal(c.Record, &name); err != nil {
		return err
	}
	if obj != nil && !c.Deleted {
		object = obj.Ref
	}
	return insertImage(ctx, tx, c.Image, c.Project, name, object, c.Version, c.Version, deleted)
}

// handClock is a monotonic clock that stands still until it is moved.
type handClock struct{ at time.Duration }

func (c *handClock) now() time.Duration { return c.at }

// tamperStore changes what is read of one blob, as damaged media do.
type tamperStore struct {
	blob.Store
	key  string
	edit func(p []byte, off int64)
	size int64 // if above 0, the blob ends there; below 0, at its beginning
}

func (s *tamperStore) Unwrap() blob.Store { return s.Store }

func (s *tamperStore) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	if key == s.key && s.size != 0 {
		if end := max(s.size, 0); off+int64(len(p)) > end {
			n, err := s.Store.ReadAt(ctx, key, p[:max(end-off, 0)], off)
			return n, errors.Join(err, io.EOF)
		}
	}
	n, err := s.Store.ReadAt(ctx, key, p, off)
	if key == s.key && s.edit != nil {
		s.edit(p[:n], off)
	}
	return n, err
}

func (s *tamperStore) Stat(ctx context.Context, key string) (blob.Info, error) {
	info, err := s.Store.Stat(ctx, key)
	if key == s.key && s.size != 0 {
		info.Size = max(s.size, 0)
	}
	return info, err
}

func (s *tamperStore) flip(key string, at int64, mask byte) {
	s.key = key
	s.edit = func(p []byte, off int64) {
		if at >= off && at < off+int64(len(p)) {
			p[at-off] ^= mask
		}
	}
}

func (s *tamperStore) clear() { s.key, s.edit, s.size = "", nil, 0 }

// replace serves other bytes of the same length in a blob's place.
func (s *tamperStore) replace(key string, at int64, with []byte) {
	s.key = key
	s.edit = func(p []byte, off int64) {
		for i := range p {
			if j := off + int64(i) - at; j >= 0 && j < int64(len(with)) {
				p[i] = with[j]
			}
		}
	}
}

var errPulled = errors.New("plug pulled")
