package images

import (
	"context"
	"slices"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// AddTag adds a tag of 1 to MaxName characters; it may be there already.
func (s *Service) AddTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	_, _, err := s.change(ctx, p, id, "image.tag.add", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, policy.ModifyImage, now); err != nil {
			return nil, err
		}
		if err := checkName("tag", tag); err != nil {
			return nil, err
		}
		if slices.Contains(now.Tags, tag) {
			return nil, errUnchanged
		}
		q, err := catalog.GetQuota(ctx, tx, now.Owner, s.cfg.DefaultQuota)
		if err != nil {
			return nil, err
		}
		was := now.Copy()
		now.Tags = append(now.Tags, tag)
		now.UpdatedAt = s.now()
		return detail{"tag": tag}, checkCounts(q, was, now)
	})
	return err
}

// RemoveTag removes a tag; CodeNotFound if it is not there.
func (s *Service) RemoveTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	_, _, err := s.change(ctx, p, id, "image.tag.remove", func(_ *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, policy.ModifyImage, now); err != nil {
			return nil, err
		}
		i := slices.Index(now.Tags, tag)
		if i < 0 {
			return nil, kuva.E(kuva.CodeNotFound, "image.tag_not_found")
		}
		now.Tags = slices.Delete(now.Tags, i, i+1)
		now.UpdatedAt = s.now()
		return detail{"tag": tag}, nil
	})
	return err
}
