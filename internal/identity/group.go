package identity

import (
	"context"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// Group is some users that are given roles together.
type Group struct {
	ID          string
	DomainID    string
	Name        string
	Description string
	CreatedAt   time.Time
}

// GroupChange is what an update sets; nil leaves a field as it is.
type GroupChange struct {
	Name        *string
	Description *string
}

// GroupFilter narrows a list; "" takes all.
type GroupFilter struct {
	Page
	DomainID string
	Name     string
	User     string // that is a member
}

// CreateGroup makes a group. An empty DomainID means the default domain.
func (s *Service) CreateGroup(ctx context.Context, p kuva.Principal, in Group) (*Group, error) {
	if err := mayAdminister(p, "create_group"); err != nil {
		return nil, err
	}
	if in.DomainID == "" {
		in.DomainID = DefaultDomainID
	}
	if err := checkNames(in.Name, in.Description); err != nil {
		return nil, err
	}
	in.ID, in.CreatedAt = newID(), s.cfg.Now()
	err := s.change(ctx, p, "group.create", func(tx *catalog.Tx) (string, error) {
		if _, err := readDomain(ctx, tx, in.DomainID); err != nil {
			return "", err
		}
		n, err := tx.Exec(ctx, `INSERT INTO team (id, domain, name, description, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			in.ID, in.DomainID, in.Name, in.Description, micros(in.CreatedAt))
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.group_exists", "name", in.Name)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return s.Group(ctx, p, in.ID)
}

// Group returns a group to its members and to those who may list groups.
func (s *Service) Group(ctx context.Context, p kuva.Principal, id string) (*Group, error) {
	var out *Group
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if out, err = readGroup(ctx, tx, id); err != nil {
			return err
		}
		mine, err := exists(ctx, tx, `SELECT 1 FROM team_member WHERE team = $1 AND account = $2`, id, p.UserID)
		if err == nil && !maySee(p, out.DomainID, mine) {
			err = notFound("group", id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Groups lists groups.
func (s *Service) Groups(ctx context.Context, p kuva.Principal, f GroupFilter) ([]Group, error) {
	only, err := mayList(p, "list_groups")
	if err != nil {
		return nil, err
	}
	return s.listGroups(ctx, f, only)
}

// GroupsOf lists the groups of a user, for itself and for administrators.
func (s *Service) GroupsOf(ctx context.Context, p kuva.Principal, user string, f GroupFilter) ([]Group, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	if _, err := s.User(ctx, p, user); err != nil {
		return nil, err
	}
	f.User = user
	return s.listGroups(ctx, f, "")
}

func (s *Service) listGroups(ctx context.Context, f GroupFilter, only string) ([]Group, error) {
	var out []Group
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		var w where
		w.is("g.domain", only)
		w.is("g.domain", f.DomainID)
		w.is("g.name", f.Name)
		if f.User != "" {
			w.and("g.id IN (SELECT team FROM team_member WHERE account = ?)", f.User)
		}
		if err := w.page(ctx, tx, f.Page, "team", "g"); err != nil {
			return err
		}
		out, err = readGroups(ctx, tx, f.limit(), w.String(), w.args...)
		return err
	})
	return out, err
}

// UpdateGroup changes a group.
func (s *Service) UpdateGroup(ctx context.Context, p kuva.Principal, id string, c GroupChange) (*Group, error) {
	if err := mayAdminister(p, "update_group"); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, "group.update", func(tx *catalog.Tx) (string, error) {
		old, err := readGroup(ctx, tx, id)
		if err != nil {
			return "", err
		}
		next := *old
		set(&next.Name, c.Name)
		set(&next.Description, c.Description)
		if err := checkNames(next.Name, next.Description); err != nil {
			return "", err
		}
		if next.Name != old.Name {
			if taken, err := exists(ctx, tx, `SELECT 1 FROM team WHERE domain = $1 AND name = $2`, next.DomainID, next.Name); err != nil {
				return "", err
			} else if taken {
				return "", kuva.E(kuva.CodeConflict, "identity.group_exists", "name", next.Name)
			}
		}
		_, err = tx.Exec(ctx, `UPDATE team SET name = $1, description = $2 WHERE id = $3`, next.Name, next.Description, id)
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return s.Group(ctx, p, id)
}

// DeleteGroup removes a group; its members lose the roles that it had.
func (s *Service) DeleteGroup(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_group"); err != nil {
		return err
	}
	return s.change(ctx, p, "group.delete", func(tx *catalog.Tx) (string, error) {
		if _, err := readGroup(ctx, tx, id); err != nil {
			return "", err
		}
		return id, execAll(ctx, tx, id, `DELETE FROM assignment WHERE actor = $1`, `DELETE FROM team_member WHERE team = $1`, `DELETE FROM team WHERE id = $1`)
	})
}

// AddMember puts a user into a group. Doing it twice changes nothing.
func (s *Service) AddMember(ctx context.Context, p kuva.Principal, group, user string) error {
	return s.membership(ctx, p, "add_user_to_group", "group.add_user", group, user, func(tx *catalog.Tx, _ bool) error {
		_, err := tx.Exec(ctx, `INSERT INTO team_member (team, account) VALUES ($1, $2) ON CONFLICT DO NOTHING`, group, user)
		return err
	})
}

// RemoveMember takes a user out of a group.
func (s *Service) RemoveMember(ctx context.Context, p kuva.Principal, group, user string) error {
	return s.membership(ctx, p, "remove_user_from_group", "group.remove_user", group, user, func(tx *catalog.Tx, there bool) error {
		if !there {
			return kuva.E(kuva.CodeNotFound, "identity.not_member", "user", user, "group", group)
		}
		_, err := tx.Exec(ctx, `DELETE FROM team_member WHERE team = $1 AND account = $2`, group, user)
		return err
	})
}

func (s *Service) membership(ctx context.Context, p kuva.Principal, rule, action, group, user string, fn func(tx *catalog.Tx, there bool) error) error {
	if err := mayAdminister(p, rule); err != nil {
		return err
	}
	return s.changeWith(ctx, p, func(tx *catalog.Tx) (audit.Entry, error) {
		there, err := member(ctx, tx, group, user)
		if err != nil {
			return audit.Entry{}, err
		}
		e := audit.By(p, s.cfg.Now(), action, user)
		e.Detail = map[string]string{"group": group}
		return e, fn(tx, there)
	})
}

// IsMember returns nil if the user is in the group. Only administrators may
// ask.
func (s *Service) IsMember(ctx context.Context, p kuva.Principal, group, user string) error {
	if err := mayAdminister(p, "check_user_in_group"); err != nil {
		return err
	}
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		there, err := member(ctx, tx, group, user)
		if err == nil && !there {
			err = kuva.E(kuva.CodeNotFound, "identity.not_member", "user", user, "group", group)
		}
		return err
	})
}

// member holds that user and group exist and says whether they belong
// together.
func member(ctx context.Context, tx *catalog.Tx, group, user string) (bool, error) {
	if _, err := readGroup(ctx, tx, group); err != nil {
		return false, err
	}
	if there, err := exists(ctx, tx, `SELECT 1 FROM account WHERE id = $1`, user); err != nil {
		return false, err
	} else if !there {
		return false, notFound("user", user)
	}
	return exists(ctx, tx, `SELECT 1 FROM team_member WHERE team = $1 AND account = $2`, group, user)
}

func readGroup(ctx context.Context, tx *catalog.Tx, id string) (*Group, error) {
	found, err := readGroups(ctx, tx, 1, `g.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("group", id)
	}
	return &found[0], nil
}

func readGroups(ctx context.Context, tx *catalog.Tx, limit int, where string, args ...any) (out []Group, err error) {
	err = each(ctx, tx, `SELECT g.id, g.domain, g.name, g.description, g.created_at FROM team g WHERE `+where+
		` ORDER BY g.name, g.id LIMIT `+number(limit), args, func(scan func(...any) error) error {
		var g Group
		var created int64
		err := scan(&g.ID, &g.DomainID, &g.Name, &g.Description, &created)
		g.CreatedAt = fromMicros(created)
		out = append(out, g)
		return err
	})
	return out, err
}
