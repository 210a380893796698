package protocol

// collector emits the steps of the collector's cycle except its deletes: §5.
// Nothing tests the cycle's token: two leaders are two collectors here, and
// must harm nothing.
func (n *steps) collector(s *state) {
	if n.c.Collectors == 0 || s.frozen == 1 {
		return
	}
	n.cycle(s)

	// Step 4: a lease may expire at any time, because any clock may say so.
	for x := range s.now.held {
		if s.now.live>>x&1 == 1 {
			t := *s
			t.now.end(x)
			n.sys(t, sExpire, uint8(x))
		}
	}
	for i := range images {
		if s.now.deleted(i) && s.now.obj[i] == objLive {
			t := *s
			t.now.obj[i] = objDead
			t.now.rec[2*i+s.now.gen(i)] = recCondemned
			n.sys(t, sObjectDead, uint8(i))
		}
	}

	// Step 5.
	for r, k := range s.now.rec {
		owner := r/2 - 1
		if r%2 == 1 {
			owner = leaseK
		}
		if k == recSuperseded || k == recAnnounced && s.now.live>>owner&1 == 0 {
			t := *s
			t.now.rec[r] = recCondemned
			n.sys(t, sRecipeCondemned, uint8(r))
		}
	}
	for c := range n.c.Collectors {
		n.condemn(s, c)
	}
}

// condemn emits collector c's two steps: read stamp, edges and leases; then
// the UPDATE that tests the stamp.
func (n *steps) condemn(s *state, c int) {
	condemnable := func(p int) bool {
		k := s.now.pack[p]
		return k == packOpen || k == packSealed || k == packDraining
	}
	if s.seen[c] == 0 {
		if c == 1 && s.seen[0] == 0 {
			return // both idle: the first one will do
		}
		for p := range npacks {
			if condemnable(p) && !s.edge(p) && !s.now.leased(p) {
				t := *s
				t.seen[c], t.dirty[c] = uint8(p+1), 0
				t.orderCollectors()
				n.sys(t, sSeen, uint8(p))
			}
		}
		return
	}
	p := int(s.seen[c]) - 1
	t := *s
	t.seen[c], t.dirty[c] = 0, 0
	if condemnable(p) && (s.dirty[c] == 0 || n.c.Naive == NoStamp) {
		t.now.pack[p] = packCondemned
		t.bump(p)
		t.orderCollectors()
		n.sys(t, sCondemn, uint8(p))
		return
	}
	t.orderCollectors()
	n.sys(t, sStampMoved, uint8(p))
}

// orderCollectors keeps two equal collectors in one order: who is who makes no
// difference.
func (s *state) orderCollectors() {
	if s.seen[0] < s.seen[1] || s.seen[0] == s.seen[1] && s.dirty[0] < s.dirty[1] {
		s.seen[0], s.seen[1] = s.seen[1], s.seen[0]
		s.dirty[0], s.dirty[1] = s.dirty[1], s.dirty[0]
	}
}

// cycle emits steps 1 to 3. What was condemned before step 1 may be deleted
// after step 3. A cycle with nothing to do is left out. Where no ledger can
// roll back, the three are one step: nothing can come between that matters.
func (n *steps) cycle(s *state) {
	switch s.cycle {
	case cBegun:
		t := *s
		t.cycle = cPut
		if s.bk == bkTaken && s.skipped == 1 {
			t.ahead = 1
		}
		n.sys(t, sEpochPut)
	case cPut:
		t := *s
		t.compare(n.c)
		n.sys(t, sCompare)
	}
	if s.cycle == cBegun && n.c.Naive != EpochGap {
		return // the last epoch's blob comes first
	}
	if !s.now.fresh(n.c) && (s.cycle != cNone || !s.now.earlier() && !s.unknown()) {
		return
	}
	t := *s
	for p, k := range s.now.pack {
		if k == packCondemned {
			t.now.pack[p] = packCondemnedEarlier
		}
	}
	for r, k := range s.now.rec {
		if k == recCondemned {
			t.now.rec[r] = recCondemnedEarlier
		}
	}
	if !n.c.Rollback {
		t.compare(n.c)
		n.sys(t, sCycle)
		return
	}
	for i, k := range s.now.row {
		if k == rowDeleted {
			t.now.row[i] = rowDeletedEarlier
		}
	}
	t.cycle = cBegun
	if s.bk == bkTaken && s.skipped < 2 {
		t.skipped++
	}
	n.sys(t, sCycle)
}

// compare is step 3: a card without a row, or newer than its row, says that
// the ledger forgot a transaction.
func (s *state) compare(c *Config) {
	s.cycle = cChecked
	for i := range images {
		newer := s.tombs>>i&1 == 1 && !s.now.deleted(i) ||
			s.cards>>i&1 == 1 && s.now.row[i] < rowActive
		if newer && c.Naive != NoCardCheck {
			s.frozen = 1
		}
	}
}

// fresh says whether anything was condemned or deleted in the current epoch.
func (l *ledger) fresh(c *Config) bool {
	for _, k := range l.pack {
		if k == packCondemned {
			return true
		}
	}
	for _, k := range l.rec {
		if k == recCondemned {
			return true
		}
	}
	for _, k := range l.row {
		if k == rowDeleted && c.Rollback {
			return true
		}
	}
	return false
}

// earlier says whether anything of an earlier epoch may wait for its delete.
func (l *ledger) earlier() bool {
	for _, k := range l.pack {
		if k == packCondemnedEarlier {
			return true
		}
	}
	for _, k := range l.rec {
		if k == recCondemnedEarlier {
			return true
		}
	}
	for _, k := range l.row {
		if k == rowDeletedEarlier {
			return true
		}
	}
	return false
}

// unknown says whether the store has packs or roots without a row.
func (s *state) unknown() bool {
	for p, k := range s.now.pack {
		if k == packNone && s.packs>>p&1 == 1 {
			return true
		}
	}
	for r, k := range s.now.rec {
		if k == recNone && s.roots>>r&1 == 1 {
			return true
		}
	}
	return false
}
