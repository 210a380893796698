package protocol

import "fmt"

// broken says which invariant a state breaks, or "". final means that no actor
// that never stops has anything left to do.
func broken(s *state, c *Config, final bool) string {
	ask := c.check()
	for i := range images {
		bit := uint8(1) << i
		name := imageNames[i]
		if s.readOnly == 0 && s.now.row[i] == rowActive {
			why := s.unreadable(i)
			if why != "" && ask&Readable != 0 {
				return fmt.Sprintf("1: image %s has a row, but %s", name, why)
			}
			if why != "" && ask&RolledBack != 0 && s.bk == bkRestored && s.erased&bit == 0 {
				return fmt.Sprintf("6: after a roll-back image %s is in the ledger, but %s", name, why)
			}
		}
		if ask&Rebuildable != 0 && s.acked&bit != 0 && s.erased&bit == 0 {
			if s.bk != bkRestored && s.now.row[i] != rowActive {
				return fmt.Sprintf("2: image %s was acknowledged and has no row", name)
			}
			if !s.rebuilds(i) {
				return fmt.Sprintf("2: image %s was acknowledged and a rebuild does not bring it back", name)
			}
		}
		if ask&StaysDeleted != 0 && s.ackedDeleted&bit != 0 && s.rebuilds(i) {
			return fmt.Sprintf("3: image %s was deleted, and a rebuild brings it back", name)
		}
	}
	if ask&ReadsEnd != 0 && s.rpc == rFailed {
		return fmt.Sprintf("4: a read of image %s failed, and the image is live", imageNames[s.rimg])
	}
	if ask&TrueAlarm != 0 && s.frozen == 1 && s.bk != bkRestored {
		return "3 of the cycle: alarm, and nothing was rolled back"
	}
	if s.readOnly == 1 {
		return ""
	}
	if ask&Known != 0 && s.bk != bkRestored && s.unknown() {
		return "7: bytes are stored that nobody knows of"
	}
	if ask&NoGarbage != 0 && final && s.frozen == 0 && c.Collectors > 0 && c.Deleters > 0 {
		return s.garbage()
	}
	return ""
}

// unreadable says why image i cannot be read through the ledger, or "".
func (s *state) unreadable(i int) string {
	g := s.now.gen(i)
	p := s.packOf(i, g)
	switch k := s.now.pack[p]; {
	case s.now.obj[i] != objLive:
		return "its object is dead"
	case s.now.rec[2*i+g] != recCurrent:
		return "its recipe is not current"
	case s.roots>>(2*i+g)&1 == 0:
		return "its root is not stored"
	case k != packSealed && k != packDraining:
		return fmt.Sprintf("the row of %s is neither sealed nor draining", packNames[p])
	case s.packs>>p&1 == 0:
		return packNames[p] + " is not stored"
	case s.bad>>p&1 == 1:
		return packNames[p] + " has other bytes than its row says"
	}
	return ""
}

// garbage says what a final state stores that no live object needs, or "".
func (s *state) garbage() string {
	var packs, roots uint8
	for i := range images {
		if s.now.obj[i] == objLive {
			g := s.now.gen(i)
			packs |= 1 << s.packOf(i, g)
			roots |= 1 << (2*i + g)
		}
		if s.now.deleted(i) && (s.cards|s.tombs)>>i&1 == 1 {
			return fmt.Sprintf("5: nothing is left to do, and a card of image %s is still stored", imageNames[i])
		}
	}
	for b := range uint8(npacks + nrecipes) {
		if b < npacks && s.packs>>b&1 == 1 && packs>>b&1 == 0 ||
			b >= npacks && s.roots>>(b-npacks)&1 == 1 && roots>>(b-npacks)&1 == 0 {
			return fmt.Sprintf("5: nothing is left to do, and %s is still stored", blobName(b))
		}
	}
	return ""
}
