package depot

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"

	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
)

// seeded reports whether the run is to repeat one seed of rapid.
func seeded() bool {
	f := flag.Lookup("rapid.seed")
	return f != nil && f.Value.String() != "0"
}

// checkRebuild is invariants 2 and 3: from a copy of the store alone everything
// acknowledged comes back, as it was acknowledged or newer, and nothing whose
// delete was.
func (y *yard) checkRebuild() {
	y.tb.Helper()
	y.note("rebuild from a copy of the store")
	ctx := context.Background()
	folder, err := os.MkdirTemp(y.folder, "rebuild-")
	if err != nil {
		y.fatalf("%v", err)
	}
	defer os.RemoveAll(folder)
	db := y.freshDB(folder)
	defer db.Close()
	copied := y.mem.Clone(y.seed)
	cfg := y.config(copied, "rebuilt")
	cfg.DB = db
	rep, err := Rebuild(ctx, cfg, RebuildOptions{}, restoreImage)
	if err != nil {
		y.fatalf("rebuild: %v", err)
	}
	if len(rep.Damaged) != 0 {
		y.fatalf("rebuild found damage: %+v", rep)
	}
	d, err := Open(ctx, cfg)
	if err != nil {
		y.fatalf("open the rebuilt depot: %v", err)
	}
	defer d.Close()
	if err := d.ReadOnly(); err != nil {
		y.fatalf("rebuilt depot: %v", err)
	}
	y.compareRebuilt(d, db, rep)
}

// compareRebuilt compares images of another database with the model.
func (y *yard) compareRebuilt(d *Depot, db *catalog.DB, rep RebuildReport) {
	y.tb.Helper()
	back := map[string]imageState{}
	err := db.View(context.Background(), func(tx *catalog.Tx) error {
		clear(back)
		rows, err := tx.Query(context.Background(), `SELECT id, name, object FROM image WHERE deleted_at = 0`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s imageState
			if err := rows.Scan(&s.id, &s.name, &s.object); err != nil {
				return err
			}
			back[s.id] = s
		}
		return rows.Err()
	})
	if err != nil {
		y.fatalf("read rebuilt rows: %v", err)
	}
	for _, m := range y.images {
		s, there := back[m.id]
		delete(back, m.id)
		if !there {
			// Nothing, or deleted, must have been a state since the last answer.
			if m.acked > 0 && !slices.ContainsFunc(m.states[m.acked-1:], func(s modelState) bool { return s.deleted }) {
				y.fatalf("image %s was acknowledged at version %d and did not come back: %+v", m.id, m.acked, rep)
			}
			continue
		}
		since := m.states
		if m.acked > 0 {
			since = m.states[m.acked-1:]
		}
		if slices.Contains(rep.Missing, m.id) {
			if !m.states[len(m.states)-1].deleted {
				y.fatalf("the content of image %s did not come back", m.id)
			}
			continue // a card that was put late, of content that is gone
		}
		if !slices.Contains(since, modelState{name: s.name}) {
			y.fatalf("image %s came back as %+v, acknowledged since are %+v (rows at %d)", m.id, s, since, m.row)
		}
		if err := y.readsBack(d, s.object, m.bytes(), false); err != nil {
			y.fatalf("image %s came back with: %v", m.id, err)
		}
	}
	for id := range back {
		if !slices.Contains(rep.Missing, id) {
			y.fatalf("image %s came from nowhere", id)
		}
	}
}

// freshDB is an empty database, copied because migrations take their time.
func (y *yard) freshDB(folder string) *catalog.DB {
	y.tb.Helper()
	template := filepath.Join(y.folder, "empty.db")
	b, err := os.ReadFile(template)
	if err != nil {
		db, err := catalog.Open(context.Background(), catalog.Config{DSN: "sqlite:" + template, NoSync: true, Patience: -1, Conns: 1})
		if err != nil {
			y.fatalf("open catalog: %v", err)
		}
		_ = db.Close()
		if b, err = os.ReadFile(template); err != nil {
			y.fatalf("%v", err)
		}
	}
	path := filepath.Join(folder, "catalog.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		y.fatalf("%v", err)
	}
	db, err := catalog.Open(context.Background(), catalog.Config{DSN: "sqlite:" + path, NoSync: true, Patience: -1, Conns: 2})
	if err != nil {
		y.fatalf("open catalog: %v", err)
	}
	return db
}

// takeCopy backs the database up.
func (y *yard) takeCopy() {
	y.tb.Helper()
	y.note("backup of the database")
	path := filepath.Join(y.folder, "catalog.copy")
	_ = os.Remove(path)
	if err := y.db.Backup(context.Background(), path); err != nil {
		y.fatalf("backup: %v", err)
	}
	y.copy = path
}

// rollBack puts the older database in the place of the present one, as after a
// restore: the depot sees it, at its start or in its next cycle and before
// anything is lost, and a merge brings everything back that was answered for.
// The first merge may die on its way.
func (y *yard) rollBack(dies bool) {
	y.tb.Helper()
	ctx := context.Background()
	y.note("database restored from the backup, merge")
	y.weather(mem.Faults{})
	y.outboxNow()
	before := map[string]int64{}
	for _, m := range y.images {
		before[m.id] = m.row
	}
	y.close()
	if err := y.db.Close(); err != nil {
		y.fatalf("close: %v", err)
	}
	for _, name := range []string{"-wal", "-shm"} {
		_ = os.Remove(y.path() + name)
	}
	b, err := os.ReadFile(y.copy)
	if err == nil {
		err = os.WriteFile(y.path(), b, 0o600)
	}
	if err != nil {
		y.fatalf("restore: %v", err)
	}
	y.openDB()
	// What holds pins holds them anew after a restore.
	if err := y.db.Update(ctx, func(tx *catalog.Tx) error { _, err := tx.Exec(ctx, `DELETE FROM pin`); return err }); err != nil {
		y.fatalf("%v", err)
	}
	clear(y.pins)
	y.copy = ""
	y.open(nil)
	if y.restored != nil {
		y.restored()
	}
	if y.ReadOnly() == nil {
		changed := false
		for id, version := range y.versions() {
			changed = changed || before[id] != version
			delete(before, id)
		}
		changed = changed || len(before) > 0
		_, err := y.Collect(ctx, CollectOptions{Audit: true})
		if changed != errors.Is(err, ErrReadOnly) || !changed && err != nil {
			y.fatalf("images changed since the backup: %t; collect says %v", changed, err)
		}
		if !changed {
			return
		}
	}
	y.close()
	cfg := y.config(y.raw, "first")
	if dies {
		cfg.Failpoint = func(point string) error {
			if point == "rebuild.objects" {
				return errPulled
			}
			return nil
		}
		if _, err := Rebuild(ctx, cfg, RebuildOptions{Merge: true}, restoreImage); !errors.Is(err, errPulled) {
			y.fatalf("merge that dies: %v", err)
		}
		cfg.Failpoint = nil
	}
	rep, err := Rebuild(ctx, cfg, RebuildOptions{Merge: true}, restoreImage)
	if err != nil || len(rep.Damaged) != 0 {
		y.fatalf("merge: %+v, %v", rep, err)
	}
	y.open(nil)
	if err := y.ReadOnly(); err != nil {
		y.fatalf("after the merge: %v", err)
	}
	y.afterMerge(rep)
	y.check()
	y.checkBytes(y.Depot)
}

func (y *yard) versions() map[string]int64 {
	y.tb.Helper()
	v := map[string]int64{}
	err := y.db.View(context.Background(), func(tx *catalog.Tx) error {
		clear(v)
		rows, err := tx.Query(context.Background(), `SELECT id, version FROM image`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var n int64
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			v[id] = n
		}
		return rows.Err()
	})
	if err != nil {
		y.fatalf("read versions: %v", err)
	}
	return v
}

// afterMerge compares: what lived lives as it was, what was deleted is. Rows of
// deleted images may be missing and versions may have moved on; the model
// follows.
func (y *yard) afterMerge(rep RebuildReport) {
	y.tb.Helper()
	rows := y.versions()
	for _, m := range y.images {
		version := rows[m.id]
		state := m.now()
		if version == 0 && !state.deleted {
			y.fatalf("image %s did not come back: %+v", m.id, rep)
		}
		for int64(len(m.states)) < version {
			m.states = append(m.states, state)
		}
		if version > 0 && version < m.row {
			m.states[version-1] = state // a deleted one whose cards are gone
		}
		m.row, m.states = version, m.states[:version]
		m.acked = min(m.acked, version)
	}
	y.settleRows()
	for _, m := range y.images {
		if slices.Contains(rep.Missing, m.id) && m.live() {
			y.fatalf("the content of image %s did not come back: %+v", m.id, rep)
		}
	}
	y.outboxNow()
}
