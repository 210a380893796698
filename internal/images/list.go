package images

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// List returns a page of the images that p may see; a full page may have a
// successor. CodeInvalid for a marker that p cannot see, and for sort keys,
// operators and visibilities that do not exist.
func (s *Service) List(ctx context.Context, p kuva.Principal, q Query) ([]*kuva.Image, error) {
	if err := checkQuery(&q); err != nil {
		return nil, err
	}
	if !s.cfg.Policy.Allows(p, policy.GetImages, policy.Target{Project: p.ProjectID, User: p.UserID}) {
		return nil, refused(policy.GetImages)
	}
	if s.cfg.Policy.Changed(policy.GetImage) {
		return s.narrowed(ctx, p, q)
	}
	rows, err := s.rows(ctx, p, q)
	return kept(rows), err
}

// narrowed is List where the site's rule get_image may hide more images than
// the database knows of: pages are read until enough images have passed.
func (s *Service) narrowed(ctx context.Context, p kuva.Principal, q Query) ([]*kuva.Image, error) {
	want := q.Limit
	if want == 0 {
		return []*kuva.Image{}, nil
	}
	out := []*kuva.Image{}
	for {
		q.Limit = MaxPage
		rows, err := s.rows(ctx, p, q)
		if err != nil {
			return nil, err
		}
		for _, m := range rows {
			var member *kuva.Member
			if m.Visibility == kuva.VisibilityShared && !owns(p, m) { // listed, so it is one
				member = &kuva.Member{Project: p.ProjectID}
			}
			if s.allows(p, policy.GetImage, m, member) {
				if out = append(out, &m.Image); len(out) == want {
					return out, nil
				}
			}
		}
		if len(rows) < MaxPage {
			return out, nil
		}
		q.Marker = rows[len(rows)-1].ID
	}
}

func kept(rows []*catalog.Image) []*kuva.Image {
	out := make([]*kuva.Image, len(rows))
	for i, m := range rows {
		out[i] = &m.Image
	}
	return out
}

func (s *Service) rows(ctx context.Context, p kuva.Principal, q Query) (rows []*catalog.Image, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = catalog.ListImages(ctx, tx, catalog.Viewer{Project: p.ProjectID, Admin: p.Admin}, q)
		if errors.Is(err, catalog.ErrMarker) {
			return kuva.E(kuva.CodeInvalid, "image.bad_marker")
		}
		return err
	})
	return rows, err
}

func checkQuery(q *Query) error {
	if q.Limit < 0 {
		return kuva.E(kuva.CodeInvalid, "image.bad_limit")
	}
	q.Limit = min(q.Limit, MaxPage)
	if !plainText(q.Marker) {
		return kuva.E(kuva.CodeInvalid, "image.bad_marker")
	}
	for _, k := range q.Sort {
		if !slices.Contains(catalog.ImageSortKeys, k.Key) {
			return kuva.E(kuva.CodeInvalid, "image.bad_sort", "list", strings.Join(catalog.ImageSortKeys, ", "))
		}
	}
	if q.Visibility != "" && q.Visibility != "all" && !kuva.Visibility(q.Visibility).Valid() {
		return kuva.E(kuva.CodeInvalid, "image.bad_visibility")
	}
	switch kuva.MemberStatus(q.MemberStatus) {
	case "", "all", kuva.MemberAccepted, kuva.MemberPending, kuva.MemberRejected:
	default:
		return kuva.E(kuva.CodeInvalid, "image.bad_member_status")
	}
	for _, f := range slices.Concat(q.Created, q.Updated) {
		if !slices.Contains([]string{"gt", "gte", "eq", "neq", "lt", "lte"}, f.Op) {
			return kuva.E(kuva.CodeInvalid, "image.bad_operator")
		}
		// What lies outside these years overflows microseconds.
		if y := f.At.Year(); y < 1 || y > 9999 {
			return kuva.E(kuva.CodeInvalid, "image.bad_date")
		}
	}
	for _, m := range []map[string]int64{q.Min, q.Max} {
		for key := range m {
			if !slices.Contains(catalog.ImageRangeKeys, key) {
				return kuva.E(kuva.CodeInvalid, "image.bad_range_key", "list", strings.Join(catalog.ImageRangeKeys, ", "))
			}
		}
	}
	values := slices.Concat(q.Name, q.ID, q.Status, q.ContainerFormat, q.DiskFormat, q.Tags, []string{q.Owner, q.Checksum, q.HashValue})
	for name, value := range q.Properties {
		values = append(values, name, value)
	}
	for _, v := range values {
		if !plainText(v) {
			return kuva.E(kuva.CodeInvalid, "image.bad_filter")
		}
	}
	return nil
}
