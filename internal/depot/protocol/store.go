package protocol

// store emits what is in flight and takes effect at any later time: late Puts,
// Deletes. They outlive crashes, restores and read-only mode.
func (n *steps) store(s *state) {
	for p := range npacks {
		if s.late>>p&1 == 1 {
			t := *s
			t.late &^= 1 << p
			t.packs |= 1 << p
			t.bad |= s.resealed & (1 << p)
			n.sys(t, sPutLands, uint8(p))
		}
	}
	for i := range images {
		if s.clawed>>i&1 == 1 {
			t := *s
			t.clawed &^= 1 << i
			t.cards &^= 1 << i
			n.sys(t, sClawed, uint8(i))
		}
	}
	for d := range n.c.Deleters {
		if s.del[d] == 0 || s.dphase[d] == dLanded {
			continue
		}
		blob := int(s.del[d]) - 1
		t := *s
		if blob < npacks {
			t.packs &^= 1 << blob
		} else {
			t.roots &^= 1 << (blob - npacks)
		}
		t.dphase[d] = dLanded
		if s.dphase[d] == dRecorded || !s.recordable(blob) {
			t.del[d], t.dphase[d] = 0, 0
		}
		t.orderDeleters()
		n.sys(t, sLand, uint8(blob))
	}
}

// recordable says whether the row of a blob is condemned, so that it can
// become deleted. A tombstone, or no row, is left as it is.
func (s *state) recordable(blob int) bool {
	if blob < npacks {
		k := s.now.pack[blob]
		return k == packCondemned || k == packCondemnedEarlier
	}
	k := s.now.rec[blob-npacks]
	return k == recCondemned || k == recCondemnedEarlier
}

// deleters emits steps 6 and 7: decide, delete (in store), record. Each
// deleter is one Delete in flight. It is recorded when the store has answered,
// and may take effect later still.
func (n *steps) deleters(s *state) {
	for d := range n.c.Deleters {
		u := s.del[d]
		if u == 0 {
			if d == 1 && s.del[0] == 0 || s.frozen == 1 {
				continue // both idle: the first one will do
			}
			for blob := range npacks + nrecipes {
				if n.deletable(s, blob) {
					t := *s
					t.del[d] = uint8(blob + 1)
					t.orderDeleters()
					n.sys(t, sDecide, uint8(blob))
				}
			}
			continue
		}
		blob := int(u) - 1
		if (s.dphase[d] == dLanded || s.dphase[d] == dDecided && n.c.LateDelete) && s.recordable(blob) {
			t := *s
			if blob < npacks {
				t.now.pack[blob] = packDeleted
			} else {
				t.now.rec[blob-npacks] = recDeleted
			}
			if s.dphase[d] == dLanded {
				t.del[d], t.dphase[d] = 0, 0
			} else {
				t.dphase[d] = dRecorded
			}
			t.orderDeleters()
			n.sys(t, sRecord, uint8(blob))
		} else if s.dphase[d] == dLanded { // somebody else recorded it
			t := *s
			t.del[d], t.dphase[d] = 0, 0
			t.orderDeleters()
			n.sys(t, sRecord, uint8(blob))
		}
		if n.c.Crashes && s.dphase[d] != dRecorded {
			t := *s
			t.del[d], t.dphase[d] = 0, 0
			t.orderDeleters()
			n.add(t, sLost, uint8(blob))
		}
	}
}

// deletable says whether a deleter may decide on a blob: condemned in an
// earlier epoch, or on the audit's list.
func (n *steps) deletable(s *state, blob int) bool {
	naive := n.c.Naive
	checked := s.cycle == cChecked || naive == NoEpoch
	var stored, none, fresh, earlier, tomb bool
	if blob < npacks {
		k := s.now.pack[blob]
		stored = s.packs>>blob&1 == 1
		none, fresh, earlier, tomb = k == packNone, k == packCondemned, k == packCondemnedEarlier, k == packDeleted
	} else {
		k := s.now.rec[blob-npacks]
		stored = s.roots>>(blob-npacks)&1 == 1
		none, fresh, earlier, tomb = k == recNone, k == recCondemned, k == recCondemnedEarlier, k == recDeleted
		fresh = fresh && (naive == NoEpoch || naive == RootsOneStep)
		checked = checked || naive == RootsOneStep && fresh
	}
	if blob < npacks {
		fresh = fresh && naive == NoEpoch
	}
	switch {
	case earlier, fresh:
		return checked
	case tomb: // a late Put came after the Delete
		return stored
	case none: // written by a node that the restored ledger knows nothing of
		return stored && (s.bk == bkRestored && s.cycle == cChecked || naive == RowAfterPutAudit && blob < npacks)
	}
	return false
}

// orderDeleters keeps two equal deleters in one order.
func (s *state) orderDeleters() {
	if s.del[0] < s.del[1] || s.del[0] == s.del[1] && s.dphase[0] < s.dphase[1] {
		s.del[0], s.del[1] = s.del[1], s.del[0]
		s.dphase[0], s.dphase[1] = s.dphase[1], s.dphase[0]
	}
}
