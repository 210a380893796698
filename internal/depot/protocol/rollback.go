package protocol

// rollback emits the backup of the ledger and its restore: §6. A restore stops
// all nodes; what they sent to the store may still land. The start-up check
// looks for the epoch after the ledger's; if it is there, the depot is
// read-only (the merge that follows is not modelled).
func (n *steps) rollback(s *state) {
	t := *s
	switch s.bk {
	case bkNone:
		t.backup = s.now
		t.bk = bkTaken
		n.add(t, sBackup)
	case bkTaken:
		t.now, t.backup = s.backup, ledger{}
		t.bk = bkRestored
		t.cycle = cNone
		if s.ahead == 1 && n.c.Naive != NoEpoch {
			t.readOnly = 1
		}
		t.ahead, t.skipped = 0, 0
		t.seen, t.dirty = [2]uint8{}, [2]uint8{}
		t.rpc, t.rimg, t.rgen = rIdle, 0, 0
		for w := range writers {
			if t.wpc[w] != wIdle {
				t.stopWriter(w)
			}
		}
		if t.kpc != kIdle {
			t.kpc, t.ktodo = kDead, 0
		}
		n.add(t, sRestore)
	}
}
