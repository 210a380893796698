package protocol

// compactor emits what the compactor of image a's pack may do: §5.
func (n *steps) compactor(s *state) {
	live := s.now.live>>leaseK&1 == 1
	pc := s.kpc
	if n.c.Crashes && pc != kIdle && pc < kDone {
		t := *s
		t.kpc, t.ktodo = kDead, 0
		n.add(t, sCrash, leaseK)
	}
	abort := func() {
		t := *s
		t.now.end(leaseK)
		t.kpc, t.ktodo = kDead, 0
		n.add(t, sKAbort)
	}
	t := *s
	switch pc {
	case kIdle:
		if s.now.pack[packA] != packSealed {
			return
		}
		t.now.live |= 1 << leaseK
		t.now.pack[packA] = packDraining
		t.kpc = kDraining
		n.add(t, sKBegin)

	case kDraining:
		for i := range images {
			if s.now.obj[i] == objLive && s.packOf(i, s.now.gen(i)) == packA {
				t.ktodo |= 1 << i
			}
		}
		t.kpc = kListed
		n.add(t, sKList)

	case kListed:
		if !live || s.ktodo == 0 {
			abort()
			return
		}
		t.now.pack[packK] = packOpen
		t.now.held[leaseK] |= 1 << packK
		for i := range images {
			if s.ktodo>>i&1 == 1 {
				t.now.rec[2*i+1] = recAnnounced
			}
		}
		t.kpc = kAnnounced
		n.add(t, sKAnnounce)

	case kAnnounced:
		if s.packs>>packA&1 == 0 { // the victim went: nothing to copy
			abort()
			return
		}
		t.packs |= 1 << packK
		t.kpc = kPut
		n.add(t, sKPutOK)
		if n.c.LatePut && s.late>>packK&1 == 0 {
			t := *s
			t.late |= 1 << packK
			n.add(t, sKPutUnknown)
		}

	case kPut:
		if !live {
			abort()
			return
		}
		t.now.pack[packK] = packSealed
		t.kpc = kSealed
		n.add(t, sKSeal)

	case kSealed:
		i := lowest(s.ktodo)
		if i < 0 {
			t.now.end(leaseK)
			t.kpc = kDone
			if n.c.Naive == CompactorCondemns {
				t.now.pack[packA] = packCondemned
			}
			n.add(t, sKEnd)
			return
		}
		t.roots |= 1 << (2*i + 1)
		t.hooked |= 1 << packK
		t.kpc = kRoot
		n.add(t, sKRoot, uint8(i))

	case kRoot:
		i := lowest(s.ktodo)
		if !live && n.c.Naive != NoFence {
			abort()
			return
		}
		t.ktodo &^= 1 << i
		t.kpc = kSealed
		if s.now.obj[i] != objLive || s.now.gen(i) != 0 {
			n.add(t, sKSkip, uint8(i))
			return
		}
		t.now.gen2 |= 1 << i
		t.now.rec[2*i] = recSuperseded
		t.now.rec[2*i+1] = recCurrent
		t.bump(packK)
		n.add(t, sKSwap, uint8(i))
	}
}

// lowest gives the lowest member of a set, or -1.
func lowest(set uint8) int {
	for i := range images {
		if set>>i&1 == 1 {
			return i
		}
	}
	return -1
}
