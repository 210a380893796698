package protocol

// reader emits what a reader may do: §4. It may stop and begin again at any
// time; one that has read its pack keeps reading it until it fails or ends.
func (n *steps) reader(s *state) {
	t := *s
	i, g := int(s.rimg), int(s.rgen)
	switch s.rpc {
	case rIdle:
		for i := range images {
			if s.now.row[i] == rowActive {
				t := *s
				t.rpc, t.rimg, t.rgen = rResolved, uint8(i), uint8(s.now.gen(i))
				n.add(t, sResolve, uint8(i))
			}
		}
	case rResolved:
		if s.roots>>(2*i+g)&1 == 1 {
			t.rpc = rRoot
			n.add(t, sGetRoot)
			return
		}
		t.rpc = rMissing
		n.add(t, sNotFound)
	case rRoot:
		if p := s.packOf(i, g); s.packs>>p&1 == 1 {
			t.rpc, t.rimg, t.rgen = rIdle, 0, 0
			n.add(t, sGetPack)
			return
		}
		t.rpc = rMissing
		n.add(t, sNotFound)
	case rMissing:
		switch {
		case s.now.row[i] != rowActive: // 410
			t.rpc, t.rimg, t.rgen = rIdle, 0, 0
		case s.now.gen(i) > g && n.c.Naive != ReaderSticks:
			t.rpc, t.rgen = rResolved, uint8(s.now.gen(i))
		default:
			t.rpc = rFailed
		}
		n.add(t, sAgain)
	}
}
