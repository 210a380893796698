package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// shareable refuses images whose visibility has no members.
func shareable(img *catalog.Image) error {
	if img.Visibility != kuva.VisibilityShared {
		return kuva.E(kuva.CodeForbidden, "image.not_shared")
	}
	return nil
}

func memberNotFound(project string) error {
	return kuva.E(kuva.CodeNotFound, "image.member_not_found", "project", project)
}

// Members lists the members of a shared image: all of them for its owner, a
// member sees itself alone.
func (s *Service) Members(ctx context.Context, p kuva.Principal, id string) ([]kuva.Member, error) {
	var out []kuva.Member
	err := s.view(ctx, func(tx *catalog.Tx) error {
		img, member, err := s.see(ctx, tx, catalog.GetImage, p, id)
		if err != nil {
			return err
		}
		if err := shareable(img); err != nil {
			return err
		}
		if !s.allows(p, policy.GetMembers, img, member) {
			return refused(policy.GetMembers)
		}
		if member != nil && !owns(p, img) {
			out = []kuva.Member{*member}
			return nil
		}
		out, err = catalog.ListMembers(ctx, tx, id)
		return err
	})
	return out, err
}

// Member returns one member. Whoever may not see it is told that it is not
// there.
func (s *Service) Member(ctx context.Context, p kuva.Principal, id, project string) (*kuva.Member, error) {
	var m *kuva.Member
	err := s.view(ctx, func(tx *catalog.Tx) error {
		img, _, err := s.see(ctx, tx, catalog.GetImage, p, id)
		if err != nil {
			return err
		}
		if shareable(img) != nil || !plainText(project) || !s.allows(p, policy.GetMember, img, &kuva.Member{Project: project}) {
			return memberNotFound(project)
		}
		m, err = catalog.GetMember(ctx, tx, id, project)
		if errors.Is(err, catalog.ErrNoMember) {
			return memberNotFound(project)
		}
		return err
	})
	return m, err
}

// AddMember offers a shared image to a project, which finds it by its id from
// then on and in its default list once it accepts. CodeConflict if it is a
// member already. The change and its card are durable when nil returns; so
// they are for SetMember and RemoveMember.
func (s *Service) AddMember(ctx context.Context, p kuva.Principal, id, project string) (*kuva.Member, error) {
	var m *kuva.Member
	_, _, err := s.change(ctx, p, id, "image.member.create", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, policy.AddMember, now); err != nil {
			return nil, err
		}
		if err := shareable(now); err != nil {
			return nil, err
		}
		if restricted(now) {
			return nil, kuva.E(kuva.CodeForbidden, "image.restricted")
		}
		if err := checkName("member", project); err != nil {
			return nil, err
		}
		q, err := catalog.GetQuota(ctx, tx, now.Owner, s.cfg.DefaultQuota)
		if err != nil {
			return nil, err
		}
		members, err := catalog.ListMembers(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		for i := range members {
			if members[i].Project == project {
				return nil, kuva.E(kuva.CodeConflict, "image.member_exists", "project", project)
			}
		}
		if limit := within(q.Members, MaxMembers); int64(len(members)) >= limit {
			return nil, kuva.E(kuva.CodeQuota, "image.too_many_members", "limit", limit)
		}
		at := s.now()
		m = &kuva.Member{Image: id, Project: project, Status: kuva.MemberPending, CreatedAt: at, UpdatedAt: at}
		return detail{"member": project}, catalog.PutMember(ctx, tx, now, m)
	})
	if err != nil {
		return nil, err
	}
	return m, s.putCard(ctx, id)
}

// SetMember is the answer of the project that an image was offered to. Only
// that project itself, or an admin, gives it: the owner gets CodeForbidden.
func (s *Service) SetMember(ctx context.Context, p kuva.Principal, id, project string, status kuva.MemberStatus) (*kuva.Member, error) {
	var m *kuva.Member
	_, changed, err := s.change(ctx, p, id, "image.member.update", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if shareable(now) != nil {
			return nil, memberNotFound(project)
		}
		if !s.allows(p, policy.ModifyMember, now, &kuva.Member{Project: project}) {
			switch {
			case p.ProjectID != project && owns(p, now):
				return nil, kuva.E(kuva.CodeForbidden, "image.member_answers")
			case p.ProjectID != project:
				return nil, memberNotFound(project)
			case !p.CanWrite():
				return nil, kuva.E(kuva.CodeForbidden, "image.reader")
			}
			return nil, refused(policy.ModifyMember)
		}
		switch status {
		case kuva.MemberAccepted, kuva.MemberPending, kuva.MemberRejected:
		default:
			return nil, kuva.E(kuva.CodeInvalid, "image.bad_member_status")
		}
		var err error
		if !plainText(project) {
			return nil, memberNotFound(project)
		}
		m, err = catalog.GetMember(ctx, tx, id, project)
		if errors.Is(err, catalog.ErrNoMember) {
			return nil, memberNotFound(project)
		}
		if err != nil {
			return nil, err
		}
		if m.Status == status {
			return nil, errUnchanged
		}
		m.Status, m.UpdatedAt = status, s.now()
		return detail{"member": project, "status": string(status)}, catalog.PutMember(ctx, tx, now, m)
	})
	if err != nil {
		return nil, err
	}
	if changed {
		err = s.putCard(ctx, id)
	}
	return m, err
}

// RemoveMember ends the sharing with a project. Only the owner does.
func (s *Service) RemoveMember(ctx context.Context, p kuva.Principal, id, project string) error {
	_, _, err := s.change(ctx, p, id, "image.member.delete", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, policy.DeleteMember, now); err != nil {
			return nil, err
		}
		if err := shareable(now); err != nil {
			return nil, err
		}
		if !plainText(project) {
			return nil, memberNotFound(project)
		}
		there, err := catalog.DeleteMember(ctx, tx, id, project)
		if err == nil && !there {
			err = memberNotFound(project)
		}
		return detail{"member": project}, err
	})
	if err != nil {
		return err
	}
	return s.putCard(ctx, id)
}
