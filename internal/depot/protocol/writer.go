package protocol

// writer emits what writer w (image 1+w, recipe generation 1) may do: §3.
func (n *steps) writer(s *state, w int) {
	naive := n.c.Naive
	u := uint8(w)
	img, rec, own := 1+w, 2*(1+w), packW+w
	live := s.now.live>>w&1 == 1
	pc := s.wpc[w]

	if n.c.Crashes && pc != wIdle && pc < wDone {
		t := *s
		t.stopWriter(w)
		n.add(t, sCrash, u)
	}

	// gone gives up at a transaction that finds the lease no longer live.
	gone := func() {
		t := *s
		t.stopWriter(w)
		n.add(t, sFenced, u)
	}

	switch pc {
	case wIdle:
		if s.now.row[img] != rowSaving || s.now.rec[rec] != recNone {
			return
		}
		t := *s
		t.now.live |= 1 << w
		t.now.rec[rec] = recAnnounced
		t.wpc[w] = wBegun
		n.add(t, sBegin, u)

	case wBegun:
		for p := range npacks {
			if s.hooked>>p&1 == 1 {
				t := *s
				t.wpc[w], t.wpack[w] = wFound, uint8(p)
				n.add(t, sFind, u, uint8(p))
			}
		}
		t := *s
		t.wpc[w], t.wpack[w] = wOwn, uint8(own)
		n.add(t, sFindNone, u)

	case wFound:
		p := int(s.wpack[w])
		if !live {
			gone()
			return
		}
		t := *s
		switch k := s.now.pack[p]; {
		case k == packSealed, naive == LeaseBlind,
			naive == Revive && (k == packCondemned || k == packCondemnedEarlier):
			if naive == Revive {
				t.now.pack[p] = packSealed
			}
			t.now.held[w] |= 1 << p
			t.bump(p)
			t.wpc[w] = wReady
			n.add(t, sTouch, u, uint8(p))
		default:
			t.wpc[w], t.wpack[w] = wOwn, uint8(own)
			n.add(t, sRefused, u)
		}

	case wOwn:
		if naive == RowAfterPut || naive == RowAfterPutAudit {
			n.put(s, w, own, wAnnounced)
			return
		}
		n.announce(s, w, own, wAnnounced, gone)

	case wAnnounced:
		if naive == RowAfterPut || naive == RowAfterPutAudit {
			n.announce(s, w, own, wPut, gone)
			return
		}
		n.put(s, w, own, wPut)

	case wPut:
		if !live {
			gone()
			return
		}
		t := *s
		t.now.pack[own] = packSealed
		t.wpc[w] = wReady
		n.add(t, sSeal, u)

	case wReady:
		t := *s
		t.roots |= 1 << rec
		t.hooked |= 1 << s.wpack[w]
		t.wpc[w] = wRoot
		n.add(t, sRootPut, u)

	case wRoot:
		if !live && naive != NoFence || s.now.row[img] != rowSaving {
			gone()
			return
		}
		t := *s
		t.now.end(w)
		t.now.rec[rec] = recCurrent
		t.now.obj[img] = objLive
		t.now.row[img] = rowActive
		t.now.carded &^= 1 << img
		t.bump(int(s.wpack[w]))
		t.wpc[w] = wDone
		if naive == AckBeforeCard {
			t.acked |= 1 << img
		}
		n.add(t, sCommit, u)
	}
}

// announce writes the row of writer w's own pack before its Put.
func (n *steps) announce(s *state, w, own int, then uint8, gone func()) {
	if s.now.live>>w&1 == 0 {
		gone()
		return
	}
	t := *s
	t.now.pack[own] = packOpen
	t.now.held[w] |= 1 << own
	t.wpc[w] = then
	n.add(t, sAnnounce, uint8(w))
}

// put stores writer w's own pack, or fails and may land at any later time. The
// writer then tries again with the same sealed bytes; a store that has them
// answers 412, which is success.
func (n *steps) put(s *state, w, own int, then uint8) {
	t := *s
	if n.c.Naive == ResealRetry {
		if s.packs>>own&1 == 1 {
			t.bad |= 1 << own // 412 taken for success: the first seal's bytes
		} else if s.late>>own&1 == 1 {
			t.resealed |= 1 << own
		}
	}
	t.packs |= 1 << own
	t.wpc[w] = then
	n.add(t, sPutOK, uint8(w))
	if n.c.LatePut && s.late>>own&1 == 0 {
		t := *s
		t.late |= 1 << own
		n.add(t, sPutUnknown, uint8(w))
	}
}

// stopWriter ends writer w where it stands. Without a root nothing names the
// pack on its behalf, so the choice is forgotten: one state instead of several.
func (s *state) stopWriter(w int) {
	s.wpc[w] = wDead
	if s.roots>>(2*(1+w))&1 == 0 && s.now.obj[1+w] == objNone {
		s.wpack[w] = 0
	}
}

// cards emits the user's deletes and the outbox that puts the cards after
// each committed change. The answer (2xx) comes with the card: whoever asks
// "was it acknowledged" must assume so from that step on.
func (n *steps) cards(s *state) {
	for i := range images {
		u := uint8(i)
		bit := uint8(1) << i
		if row := s.now.row[i]; row == rowSaving || row == rowActive {
			n.erase(s, i)
		}
		if s.now.carded&bit == 0 {
			t := *s
			t.now.carded |= bit
			if s.now.row[i] == rowActive {
				t.cards |= bit
				t.acked |= bit
				n.sys(t, sCard, u)
			} else {
				t.tombs |= bit
				t.ackedDeleted |= bit
				n.sys(t, sTomb, u)
			}
		}
		if s.frozen == 1 {
			continue
		}
		// The delete card stays until the image's roots are gone *and* an
		// epoch has passed since the transaction, so that no unnoticed
		// roll-back can forget the deletion. The cards that it overrules go
		// just before it.
		passed := s.now.row[i] == rowDeletedEarlier && s.cycle == cChecked ||
			s.now.deleted(i) && (n.c.Naive == TombAtOnce || !n.c.Rollback)
		if s.tombs&bit != 0 && s.now.gone(i) && passed {
			t := *s
			t.cards &^= bit
			t.tombs &^= bit
			n.sys(t, sTombDrop, u)
		}
	}
}

// gone says whether no recipe of image i has a root any more.
func (l *ledger) gone(i int) bool {
	for _, r := range l.rec[2*i : 2*i+2] {
		if r != recNone && r != recDeleted {
			return false
		}
	}
	return true
}

// erase emits the delete of image i by its user, any time after it exists.
func (n *steps) erase(s *state, i int) {
	bit := uint8(1) << i
	t := *s
	if n.c.Naive == CardBeforeTx && s.tombs&bit == 0 {
		t.tombs |= bit
		n.add(t, sTomb, uint8(i))
		return
	}
	t.now.row[i] = rowDeleted
	t.erased |= bit
	switch n.c.Naive {
	case CardBeforeTx:
		t.ackedDeleted |= bit
	case DeleteCardsOnly:
		t.clawed |= bit & s.cards
		t.ackedDeleted |= bit
		t.now.carded |= bit
	default:
		t.now.carded &^= bit
	}
	n.add(t, sErase, uint8(i))
}
