package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/catalog"
)

// dumpVersion is raised when a reader of the old form would go wrong.
const dumpVersion = 1

// maxDump bounds what Load reads: some million users.
const maxDump = 1 << 30

// dumped lists the tables of a backup with their columns, in the order in
// which rows can be inserted. "?" ends the names of columns that are true or
// false, "#" of those that are numbers. Tokens are left out.
var dumped = []struct {
	table   string
	columns []string
}{
	{"domain", []string{"id", "name", "description", "enabled?", "immutable?", "created_at#"}},
	{"project", []string{"id", "domain", "name", "description", "enabled?", "immutable?", "created_at#"}},
	{"project_tag", []string{"project", "tag"}},
	{"account", []string{"id", "domain", "name", "email", "description", "default_project", "password", "options", "enabled?", "created_at#", "password_at#"}},
	{"team", []string{"id", "domain", "name", "description", "created_at#"}},
	{"team_member", []string{"team", "account"}},
	{"role", []string{"id", "name", "description", "immutable?"}},
	{"role_implied", []string{"prior", "implied"}},
	{"assignment", []string{"actor", "actor_kind", "scope_kind", "scope", "role"}},
	{"application_credential", []string{"id", "account", "project", "name", "description", "secret", "roles", "unrestricted?", "expires_at#", "created_at#"}},
	{"access_rule", []string{"id", "account", "service", "method", "path"}},
	{"application_credential_rule", []string{"credential", "rule"}},
	{"credential", []string{"id", "account", "project", "kind", "wrapping", "content", "created_at#"}},
	{"region", []string{"id", "parent", "description"}},
	{"service", []string{"id", "kind", "name", "description", "enabled?"}},
	{"endpoint", []string{"id", "service", "region", "interface", "url", "name", "enabled?"}},
}

// dump is the JSON of a backup. It holds hashes of passwords and sealed
// credentials, and no tokens.
type dump struct {
	Version int                         `json:"version"`
	Tables  map[string][]map[string]any `json:"tables"`
}

func bare(column string) string { return strings.TrimRight(column, "?#") }

func bares(columns []string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = bare(c)
	}
	return strings.Join(names, ", ")
}

// Dump writes all identities of one moment (with hashes of their passwords)
// as JSON. Whoever reads it can try passwords: keep it like a key.
func Dump(ctx context.Context, db *catalog.DB, w io.Writer) error {
	var d dump
	err := db.View(ctx, func(tx *catalog.Tx) error {
		d = dump{Version: dumpVersion, Tables: map[string][]map[string]any{}}
		for _, t := range dumped {
			rows, err := dumpTable(ctx, tx, t.table, t.columns)
			if err != nil {
				return err
			}
			d.Tables[t.table] = rows
		}
		return nil
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

func dumpTable(ctx context.Context, tx *catalog.Tx, table string, columns []string) ([]map[string]any, error) {
	out := []map[string]any{}
	err := each(ctx, tx, `SELECT `+bares(columns)+` FROM `+table, nil, func(scan func(...any) error) error {
		into := make([]any, len(columns))
		for i, c := range columns {
			switch c[len(c)-1] {
			case '?':
				into[i] = new(bool)
			case '#':
				into[i] = new(int64)
			default:
				into[i] = new(string)
			}
		}
		if err := scan(into...); err != nil {
			return err
		}
		row := map[string]any{}
		for i, c := range columns {
			row[bare(c)] = into[i]
		}
		out = append(out, row)
		return nil
	})
	// Sorted here: databases differ in what comes first.
	slices.SortFunc(out, func(a, b map[string]any) int {
		for _, c := range columns {
			if x, ok := a[bare(c)].(*string); ok {
				if n := strings.Compare(*x, *b[bare(c)].(*string)); n != 0 {
					return n
				}
			}
		}
		return 0
	})
	return out, err
}

// Load replaces all identities with those of a dump, in one transaction, and
// takes all tokens back. A dump without an administrator who can log in is
// refused, as is one with a password hash that kuva does not take. It is for
// a restore, while no service runs on the database.
func Load(ctx context.Context, db *catalog.DB, r io.Reader) error {
	var d dump
	dec := json.NewDecoder(io.LimitReader(r, maxDump))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return kuva.E(kuva.CodeInvalid, "identity.bad_dump") // no cause: it could quote a hash
	}
	if d.Version != dumpVersion {
		return kuva.E(kuva.CodeUnsupported, "identity.dump_version", "version", d.Version, "known", dumpVersion)
	}
	for table, column := range map[string]string{"account": "password", "application_credential": "secret"} {
		for _, row := range d.Tables[table] {
			hash, _ := row[column].(string)
			if _, err := parsePHC(hash); err != nil && (hash != "" || table != "account") {
				return kuva.E(kuva.CodeInvalid, "identity.bad_dump").Because(fmt.Errorf("%s %q: %w", table, row["id"], err))
			}
		}
	}
	if err := db.Update(ctx, func(tx *catalog.Tx) error { return writeDump(ctx, tx, &d) }); err != nil {
		return fmt.Errorf("load identities: %w", err)
	}
	return nil
}

func writeDump(ctx context.Context, tx *catalog.Tx, d *dump) error {
	if _, err := tx.Exec(ctx, `DELETE FROM token`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM portal_session`); err != nil {
		return err
	}
	for _, t := range slices.Backward(dumped) {
		if _, err := tx.Exec(ctx, `DELETE FROM `+t.table); err != nil {
			return err
		}
	}
	known := 0
	for _, t := range dumped {
		rows, there := d.Tables[t.table]
		if !there {
			return kuva.E(kuva.CodeInvalid, "identity.bad_dump")
		}
		known++
		insert := `INSERT INTO ` + t.table + ` (` + bares(t.columns) + `) VALUES (` + placeholders(1, len(t.columns)) + `)`
		for _, row := range rows {
			values, err := rowOf(row, t.columns)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, insert, values...); err != nil {
				return err
			}
		}
	}
	if known != len(d.Tables) {
		return kuva.E(kuva.CodeInvalid, "identity.bad_dump")
	}
	return wellFormed(ctx, tx)
}

// rowOf takes a row's values in the order of columns, each of its kind.
func rowOf(row map[string]any, columns []string) ([]any, error) {
	bad := kuva.E(kuva.CodeInvalid, "identity.bad_dump")
	if len(row) != len(columns) {
		return nil, bad
	}
	values := make([]any, len(columns))
	for i, c := range columns {
		v := row[bare(c)]
		var ok bool
		switch c[len(c)-1] {
		case '?':
			_, ok = v.(bool)
		case '#':
			n, isNumber := v.(json.Number)
			whole, err := n.Int64()
			v, ok = whole, isNumber && err == nil
		default:
			_, ok = v.(string)
		}
		if !ok {
			return nil, bad
		}
		values[i] = v
	}
	return values, nil
}

// wellFormed holds what no foreign key does: the roles that rules ask for are
// there under their ids, and somebody can log in as administrator.
func wellFormed(ctx context.Context, tx *catalog.Tx) error {
	for _, name := range ladder {
		if there, err := exists(ctx, tx, `SELECT 1 FROM role WHERE id = $1 AND name = $2`, RoleID(name), name); err != nil {
			return err
		} else if !there {
			return kuva.E(kuva.CodeInvalid, "identity.bad_dump")
		}
	}
	return adminLeft(ctx, tx)
}
