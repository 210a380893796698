package depot

import (
	"cmp"
	"slices"

	"kuva/internal/catalog"
)

// matcher finds the chunks of one writer that are stored already, by sparse
// indexing (Lillibridge et al., FAST 2009): few names are in the database,
// as hooks; what they point at is a whole segment, and neighbours are found
// in it. Looking goes to the own realm and the platform's, nowhere else.
type matcher struct {
	w          *Writer
	candidates []*candidate // newest use last
	roots      map[int64]*root
	tried      map[segID]bool // did not load: no candidate
	spare      []segID        // had hooks in common, but others had more
	written    map[Name]Loc   // chunks stored by this writer, the newest
	older      map[Name]Loc   // and those before them
	equal      map[Name]Loc   // segments of loaded roots, by name
	known      map[Name]Loc   // chunks that Look found, whose packs are leased

	// hold says which packs may be referred to, and sees to it that they stay
	// where that is wanted.
	hold func(packs []int64) (map[int64]bool, error)
}

type segID struct {
	object  int64
	segment int
}

// candidate is a stored segment that this writer matches against.
type candidate struct {
	id   segID
	seg  *segment
	at   map[Name]int
	used bool // matched in this window
}

const (
	candidatesMost = 12 // about 150 KiB each
	winnersMost    = 2  // new candidates a window
	writtenMost    = 4096
	rootsMost      = 16
	spareMost      = 16
)

func newMatcher(w *Writer) *matcher {
	return &matcher{
		w: w, roots: map[int64]*root{}, tried: map[segID]bool{}, written: map[Name]Loc{}, equal: map[Name]Loc{},
		hold: func(packs []int64) (map[int64]bool, error) { return w.d.touch(w.ctx, w.lease, packs) },
	}
}

// window finds the chunks of a window that are stored and leases their packs
// before the plain bytes go.
func (m *matcher) window(win []item) error {
	for _, c := range m.candidates {
		c.used = false
	}
	missing := m.scan(win)
	if missing > 0 {
		if err := m.follow(); err != nil {
			return err
		}
		missing = m.scan(win)
	}
	for round := 0; missing > 0 && round < 2; round++ {
		more, err := m.ask(win)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		missing = m.scan(win)
	}
	return m.lease(win)
}

// scan matches the window's chunks against the loaded segments. It returns
// how many are still missing.
func (m *matcher) scan(win []item) int {
	missing := 0
	for i := range win {
		it := &win[i]
		if it.hole > 0 || it.found {
			continue
		}
		if _, ok := m.own(it.name); ok {
			continue
		}
		if !m.find(it) {
			missing++
		}
	}
	return missing
}

func (m *matcher) find(it *item) bool {
	for i := len(m.candidates) - 1; i >= 0; i-- {
		c := m.candidates[i]
		j, ok := c.at[it.name]
		if !ok && m.w.common != nil {
			j, ok = c.at[it.other]
		}
		if !ok {
			continue
		}
		loc := c.seg.entries[j].Loc
		if int(loc.Plain) != it.plain || m.w.refused[loc.Pack.ID] {
			continue
		}
		it.loc, it.found, c.used = loc, true, true
		return true
	}
	return false
}

// follow loads the successors of the segments that just matched: what follows
// there probably follows here.
func (m *matcher) follow() error {
	var next []segID
	for _, c := range m.candidates {
		if c.used {
			next = append(next, segID{c.id.object, c.id.segment + 1})
		}
	}
	if len(m.candidates) == 0 && m.w.opt.Parent != 0 {
		next = append(next, m.ofParent()...)
	}
	for _, id := range next {
		if _, err := m.load(id); err != nil {
			return err
		}
	}
	return nil
}

// ofParent gives the parent's segments at the place that the window is for.
func (m *matcher) ofParent() []segID {
	r := m.root(m.w.opt.Parent)
	if r == nil {
		return nil
	}
	off := m.w.seg.off
	var ids []segID
	for i, s := range r.Segments {
		end := r.Size
		if i+1 < len(r.Segments) {
			end = r.Segments[i+1].First
		}
		if off < end && off >= s.First {
			ids = append(ids, segID{m.w.opt.Parent, i})
			break
		}
	}
	return ids
}

// ask looks the missing names up among the hooks and loads the segments that
// hold most of them, with their successors. It reports whether there was one.
func (m *matcher) ask(win []item) (bool, error) {
	names := map[int64]bool{}
	for i := range win {
		it := &win[i]
		if it.hole > 0 || it.found {
			continue
		}
		if _, ok := m.own(it.name); ok {
			continue
		}
		names[it.name.name8()] = true
		if m.w.common != nil {
			names[it.other.name8()] = true
		}
	}
	votes, err := m.votes(names)
	if err != nil {
		return false, err
	}
	winners := make([]segID, 0, len(votes))
	for id := range votes {
		if !m.tried[id] && !m.loaded(id) {
			winners = append(winners, id)
		}
	}
	slices.SortFunc(winners, func(a, b segID) int {
		if votes[a].hooks != votes[b].hooks {
			return votes[b].hooks - votes[a].hooks
		}
		if votes[a].at != votes[b].at {
			return cmp.Compare(votes[b].at, votes[a].at)
		}
		return cmp.Or(cmp.Compare(a.object, b.object), a.segment-b.segment)
	})
	// What lost this time may hold what comes later, although none of its hooks
	// lies there: it is tried before anything is stored anew.
	winners = append(winners, m.spare...)
	m.spare = nil
	loaded := 0
	for i, id := range winners {
		ok, err := m.load(id)
		if err != nil {
			return false, err
		}
		if ok {
			if loaded++; loaded == winnersMost {
				m.spare = slices.Clone(winners[i+1 : min(len(winners), i+1+spareMost)])
				break
			}
		}
	}
	return loaded > 0, nil
}

// vote says how many of the names asked for are hooks of a segment, and how
// new they are.
type vote struct {
	hooks int
	at    int64
}

// votes looks the names up among the hooks.
func (m *matcher) votes(names map[int64]bool) (map[segID]vote, error) {
	w, votes := m.w, map[segID]vote{}
	if len(names) == 0 {
		return votes, nil
	}
	args := []any{w.keys.realm, w.keys.realm}
	if w.common != nil {
		args[1] = w.common.realm
	}
	for n := range names {
		args = append(args, n)
	}
	// A statement for each number of names would be prepared anew each time:
	// fill up to a power of two with the last name.
	for n := len(args) - 2; n&(n-1) != 0; n++ {
		args = append(args, args[len(args)-1])
	}
	query := `SELECT object, segment, at FROM hook WHERE realm IN ($1, $2) AND name8 IN (` + placeholders(3, len(args)-2) + `)`
	err := w.d.db.View(w.ctx, func(tx *catalog.Tx) error {
		rows, err := tx.Query(w.ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id segID
			v := vote{hooks: 1}
			if err := rows.Scan(&id.object, &id.segment, &v.at); err != nil {
				return err
			}
			v.hooks += votes[id].hooks
			votes[id] = v
		}
		return rows.Err()
	})
	return votes, err
}

func (m *matcher) loaded(id segID) bool {
	return slices.ContainsFunc(m.candidates, func(c *candidate) bool { return c.id == id })
}

// root returns an object's root, nil where it cannot be had: hooks may
// dangle, so anything missing only means "no candidate".
func (m *matcher) root(object int64) *root {
	if r, ok := m.roots[object]; ok {
		return r
	}
	r, err := m.w.d.resolve(m.w.ctx, object, 0)
	if err != nil {
		r = nil
	}
	m.keepRoot(object, r)
	return r
}

// keepRoot remembers an object's root, and its segments as such that may be
// referred to.
func (m *matcher) keepRoot(object int64, r *root) {
	if len(m.roots) >= rootsMost {
		clear(m.roots)
		clear(m.equal)
	}
	m.roots[object] = r
	if r != nil {
		for _, s := range r.Segments {
			if s.Loc.Pack.Realm == m.w.keys.realm {
				m.equal[s.Name] = s.Loc
			}
		}
	}
}

// load makes a segment a candidate and reports whether that went well.
func (m *matcher) load(id segID) (bool, error) {
	if m.loaded(id) || m.tried[id] {
		return false, nil
	}
	r := m.root(id.object)
	if r == nil || id.segment >= len(r.Segments) {
		m.refuse(id)
		return false, nil
	}
	seg, err := m.w.d.loadSegment(m.w.ctx, r.Segments[id.segment])
	if err != nil {
		if ctxErr := m.w.ctx.Err(); ctxErr != nil {
			return false, ctxErr
		}
		m.refuse(id)
		return false, nil
	}
	c := &candidate{id: id, seg: seg, at: make(map[Name]int, len(seg.entries))}
	for j, e := range seg.entries {
		if e.Hole == 0 {
			if _, ok := c.at[e.Name]; !ok {
				c.at[e.Name] = j
			}
		}
	}
	m.candidates = append(m.candidates, c)
	if len(m.candidates) > candidatesMost {
		m.candidates = slices.Delete(m.candidates, 0, 1)
	}
	return true, nil
}

func (m *matcher) refuse(id segID) {
	if len(m.tried) >= 4096 {
		clear(m.tried)
	}
	m.tried[id] = true
}

// lease takes the packs of the chunks found that the writer does not hold
// yet. Chunks in packs that the guard rule refuses are stored anew, so a
// re-upload heals damage.
func (m *matcher) lease(win []item) error {
	var ask []int64
	for i := range win {
		if id := win[i].loc.Pack.ID; win[i].found && !m.w.leased[id] && !slices.Contains(ask, id) {
			ask = append(ask, id)
		}
	}
	if err := m.take(ask); err != nil {
		return err
	}
	for i := range win {
		if win[i].found && !m.w.leased[win[i].loc.Pack.ID] {
			win[i].found, win[i].loc = false, Loc{}
		}
	}
	return nil
}

func (m *matcher) take(packs []int64) error {
	if len(packs) == 0 {
		return nil
	}
	w := m.w
	got, err := m.hold(packs)
	if err != nil {
		return err
	}
	for _, p := range packs {
		if got[p] {
			w.leased[p] = true
		} else {
			w.refused[p] = true
		}
	}
	return nil
}

// segment finds a stored segment of the same name that may be referred to.
func (m *matcher) segment(name Name) (Loc, bool, error) {
	loc, ok := m.equal[name]
	if !ok {
		return Loc{}, false, nil
	}
	id := loc.Pack.ID
	if !m.w.leased[id] && !m.w.refused[id] {
		if err := m.take([]int64{id}); err != nil {
			return Loc{}, false, err
		}
	}
	return loc, m.w.leased[id], nil
}

// own finds a chunk that this writer wrote.
func (m *matcher) own(name Name) (Loc, bool) {
	loc, ok := m.written[name]
	if !ok {
		loc, ok = m.older[name]
	}
	return loc, ok
}

// isOwn reports whether the chunk was written, or comes among those before it.
func (m *matcher) isOwn(before []item, name Name) bool {
	if _, ok := m.own(name); ok {
		return true
	}
	return slices.ContainsFunc(before, func(it item) bool { return it.name == name })
}

func (m *matcher) keepOwn(name Name, loc Loc) {
	if len(m.written) >= writtenMost {
		m.older, m.written = m.written, make(map[Name]Loc, writtenMost)
	}
	m.written[name] = loc
}
