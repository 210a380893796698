package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"kuva"
	"kuva/internal/catalog"
)

// dumpVersion is raised when a reader of the old form would go wrong.
const dumpVersion = 1

// maxDump bounds what Load reads: some million users.
const maxDump = 1 << 30

// dump is the JSON of a backup. It holds password hashes and no tokens.
type dump struct {
	Version     int              `json:"version"`
	Domains     []dumpDomain     `json:"domains"`
	Projects    []dumpProject    `json:"projects"`
	Users       []dumpUser       `json:"users"`
	Assignments []dumpAssignment `json:"assignments"`
}

type dumpDomain struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"`
	CreatedAt   int64  `json:"created_at_us"`
}

type dumpProject struct {
	ID          string `json:"id"`
	Domain      string `json:"domain"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"`
	CreatedAt   int64  `json:"created_at_us"`
}

type dumpUser struct {
	ID             string `json:"id"`
	Domain         string `json:"domain"`
	Name           string `json:"name"`
	Email          string `json:"email,omitempty"`
	Description    string `json:"description,omitempty"`
	DefaultProject string `json:"default_project,omitempty"`
	Password       string `json:"password_hash,omitempty"`
	Enabled        bool   `json:"enabled"`
	CreatedAt      int64  `json:"created_at_us"`
	PasswordAt     int64  `json:"password_at_us"`
}

type dumpAssignment struct {
	User    string `json:"user"`
	Project string `json:"project"`
	Role    string `json:"role"` // name
}

// Dump writes all domains, projects, users (with their password hashes) and
// role assignments of one moment as JSON. Whoever reads it can try passwords:
// keep it like a key.
func Dump(ctx context.Context, db *catalog.DB, w io.Writer) error {
	var d dump
	err := db.View(ctx, func(tx *catalog.Tx) error {
		d = dump{Version: dumpVersion}
		return readDump(ctx, tx, &d)
	})
	if err != nil {
		return fmt.Errorf("dump identities: %w", err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("dump identities: %w", err)
	}
	return nil
}

func readDump(ctx context.Context, tx *catalog.Tx, d *dump) error {
	err := each(ctx, tx, `SELECT id, name, description, enabled, created_at FROM domain ORDER BY id`, func(scan func(...any) error) error {
		var x dumpDomain
		err := scan(&x.ID, &x.Name, &x.Description, &x.Enabled, &x.CreatedAt)
		d.Domains = append(d.Domains, x)
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT id, domain, name, description, enabled, created_at FROM project ORDER BY id`, func(scan func(...any) error) error {
		var x dumpProject
		err := scan(&x.ID, &x.Domain, &x.Name, &x.Description, &x.Enabled, &x.CreatedAt)
		d.Projects = append(d.Projects, x)
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT id, domain, name, email, description, default_project, password, enabled, created_at, password_at
		FROM account ORDER BY id`, func(scan func(...any) error) error {
		var x dumpUser
		err := scan(&x.ID, &x.Domain, &x.Name, &x.Email, &x.Description, &x.DefaultProject, &x.Password, &x.Enabled, &x.CreatedAt, &x.PasswordAt)
		d.Users = append(d.Users, x)
		return err
	})
	if err != nil {
		return err
	}
	return each(ctx, tx, `SELECT x.account, x.project, r.name FROM assignment x JOIN role r ON r.id = x.role
		ORDER BY x.account, x.project, r.name`, func(scan func(...any) error) error {
		var x dumpAssignment
		err := scan(&x.User, &x.Project, &x.Role)
		d.Assignments = append(d.Assignments, x)
		return err
	})
}

func each(ctx context.Context, tx *catalog.Tx, query string, one func(scan func(...any) error) error) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Load replaces all identities with those of a dump, in one transaction, and
// takes all tokens back. A dump without an administrator who can log in is
// refused, as is one with a password hash that kuva does not take. It is for
// a restore, while no service runs on the database.
func Load(ctx context.Context, db *catalog.DB, r io.Reader) error {
	var d dump
	dec := json.NewDecoder(io.LimitReader(r, maxDump))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return kuva.E(kuva.CodeInvalid, "identity.bad_dump") // no cause: it could quote a hash
	}
	if d.Version != dumpVersion {
		return kuva.E(kuva.CodeUnsupported, "identity.dump_version", "version", d.Version, "known", dumpVersion)
	}
	for _, u := range d.Users {
		if _, err := parsePHC(u.Password); u.Password != "" && err != nil {
			return kuva.E(kuva.CodeInvalid, "identity.bad_dump").Because(fmt.Errorf("password of user %q: %w", u.ID, err))
		}
	}
	err := db.Update(ctx, func(tx *catalog.Tx) error { return writeDump(ctx, tx, &d) })
	if err != nil {
		return fmt.Errorf("load identities: %w", err)
	}
	return nil
}

func writeDump(ctx context.Context, tx *catalog.Tx, d *dump) error {
	for _, table := range []string{"token", "assignment", "account", "project", "domain"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
			return err
		}
	}
	if err := insertRoles(ctx, tx); err != nil {
		return err
	}
	for _, x := range d.Domains {
		if _, err := tx.Exec(ctx, `INSERT INTO domain (id, name, description, enabled, created_at) VALUES ($1, $2, $3, $4, $5)`,
			x.ID, x.Name, x.Description, x.Enabled, x.CreatedAt); err != nil {
			return err
		}
	}
	for _, x := range d.Projects {
		if _, err := tx.Exec(ctx, `INSERT INTO project (id, domain, name, description, enabled, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			x.ID, x.Domain, x.Name, x.Description, x.Enabled, x.CreatedAt); err != nil {
			return err
		}
	}
	for _, x := range d.Users {
		if _, err := tx.Exec(ctx, `INSERT INTO account (id, domain, name, email, description, default_project, password, enabled, created_at, password_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			x.ID, x.Domain, x.Name, x.Email, x.Description, x.DefaultProject, x.Password, x.Enabled, x.CreatedAt, x.PasswordAt); err != nil {
			return err
		}
	}
	for _, x := range d.Assignments {
		if _, err := tx.Exec(ctx, `INSERT INTO assignment (account, project, role) VALUES ($1, $2, $3)`, x.User, x.Project, RoleID(x.Role)); err != nil {
			return err
		}
	}
	return adminLeft(ctx, tx)
}
