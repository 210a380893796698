package identity

import (
	"context"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

var ruleMethods = []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}

func checkRules(rules []AccessRule) error {
	bad := len(rules) > MaxAccessRules
	for _, r := range rules {
		if r.ID != "" && r.Service == "" && r.Method == "" && r.Path == "" {
			bad = bad || len(r.ID) > MaxName
			continue
		}
		bad = bad || r.Service == "" || len(r.Service) > MaxName || !printable(r.Service, false) || !slices.Contains(ruleMethods, r.Method) ||
			!strings.HasPrefix(r.Path, "/") || len(r.Path) > maxRulePath || !printable(r.Path, false)
	}
	if bad {
		return kuva.E(kuva.CodeInvalid, "identity.bad_rules", "most", MaxAccessRules, "limit", maxRulePath)
	}
	return nil
}

// addRules ties rules to a credential; equal ones of the user are reused.
func addRules(ctx context.Context, tx *catalog.Tx, user, credential string, rules []AccessRule) error {
	for _, r := range rules {
		id := r.ID
		if r.Service != "" {
			id = newID()
			if _, err := tx.Exec(ctx, `INSERT INTO access_rule (id, account, service, method, path) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
				id, user, r.Service, r.Method, r.Path); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, `SELECT id FROM access_rule WHERE account = $1 AND service = $2 AND method = $3 AND path = $4`,
				user, r.Service, r.Method, r.Path).Scan(&id); err != nil {
				return err
			}
		} else if there, err := exists(ctx, tx, `SELECT 1 FROM access_rule WHERE account = $1 AND id = $2`, user, id); err != nil {
			return err
		} else if !there {
			return notFound("access_rule", id)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO application_credential_rule (credential, rule) VALUES ($1, $2) ON CONFLICT DO NOTHING`, credential, id); err != nil {
			return err
		}
	}
	return nil
}

// AccessRules lists a user's, for itself and for administrators. Fields of
// the filter that are "" take all.
func (s *Service) AccessRules(ctx context.Context, p kuva.Principal, user string, f kuva.AccessRule) ([]AccessRule, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	var out []AccessRule
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if err := userThere(ctx, tx, user); err != nil {
			return err
		}
		out, err = readRules(ctx, tx, `account = $1 AND ($2 = '' OR service = $2) AND ($3 = '' OR method = $3) AND ($4 = '' OR path = $4)`, user, f.Service, f.Method, f.Path)
		return err
	})
	return out, err
}

// AccessRule returns one of a user's.
func (s *Service) AccessRule(ctx context.Context, p kuva.Principal, user, id string) (*AccessRule, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	var out *AccessRule
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		found, err := readRules(ctx, tx, `account = $1 AND id = $2`, user, id)
		if err == nil && len(found) == 0 {
			return notFound("access_rule", id)
		}
		if err == nil {
			out = &found[0]
		}
		return err
	})
	return out, err
}

// DeleteAccessRule removes a rule that no application credential has.
func (s *Service) DeleteAccessRule(ctx context.Context, p kuva.Principal, user, id string) error {
	if err := mayTend(p, user); err != nil {
		return err
	}
	if err := mayKeepSecrets(p, "delete_access_rule"); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		used, err := exists(ctx, tx, `SELECT 1 FROM application_credential_rule x JOIN access_rule r ON r.id = x.rule WHERE r.id = $1 AND r.account = $2`, id, user)
		if err != nil {
			return err
		}
		if used {
			return kuva.E(kuva.CodeForbidden, "identity.rule_in_use", "id", id)
		}
		n, err := tx.Exec(ctx, `DELETE FROM access_rule WHERE id = $1 AND account = $2`, id, user)
		if err == nil && n == 0 {
			err = notFound("access_rule", id)
		}
		if err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "access_rule.delete", id))
		return err
	})
}

func readRules(ctx context.Context, tx *catalog.Tx, where string, args ...any) (out []AccessRule, err error) {
	err = each(ctx, tx, `SELECT id, service, method, path FROM access_rule WHERE `+where+` ORDER BY service, path, method LIMIT `+number(MaxList), args,
		func(scan func(...any) error) error {
			var r AccessRule
			err := scan(&r.ID, &r.Service, &r.Method, &r.Path)
			out = append(out, r)
			return err
		})
	return out, err
}
