package protocol

import "math/bits"

// The universe. Image a is stored and acknowledged at the start; images b and
// c are being written by writer 0 and writer 1.
const (
	images  = 3
	writers = 2
)

// Packs. Image a's holds {c0, c1}; all others hold c0 (the compactor's also
// c1, if a was listed).
const (
	packA  = 0
	packW  = 1 // writer w's own pack is packW+w
	packK  = 3 // the compactor's
	npacks = 4
)

// Recipes: image i has generation 1 (number 2i) and 2 (number 2i+1).
const nrecipes = 2 * images

// Leases are numbered like their owners.
const leaseK = writers // the compactor's; writer w's is w

// States of a row of the table image. "deleted", like "condemned" below, is
// split by whether the ledger's epoch has moved since: only that decides, so no
// number is kept and the search stays finite.
const (
	rowNone = iota
	rowSaving
	rowActive
	rowDeleted
	rowDeletedEarlier
)

// States of a row of the table object.
const (
	objNone = iota
	objLive
	objDead
)

// States of a row of the table recipe.
const (
	recNone = iota
	recAnnounced
	recCurrent
	recSuperseded
	recCondemned
	recCondemnedEarlier
	recDeleted
)

// States of a row of the table pack.
const (
	packNone = iota
	packOpen
	packSealed
	packDraining
	packCondemned
	packCondemnedEarlier
	packDeleted
)

// ledger is what a backup of the database holds.
type ledger struct {
	row    [images]uint8
	obj    [images]uint8
	rec    [nrecipes]uint8
	pack   [npacks]uint8
	held   [writers + 1]uint8 // lease_pack: set of packs by lease
	live   uint8              // set of leases that are live
	gen2   uint8              // set of objects whose recipe is generation 2
	carded uint8              // set of images whose card_version = version
}

// Program counters of a writer.
const (
	wIdle      = iota
	wBegun     // lease live, recipe announced
	wFound     // a hook gave a candidate pack
	wOwn       // nothing found, or the touch was refused: store anew
	wAnnounced // own pack's row is open (RowAfterPut: the Put is done)
	wPut       // own pack is in the store (RowAfterPut: the row is written)
	wReady     // all packs sealed
	wRoot      // root is in the store
	wDone      // committed
	wDead      // crashed, or lost its lease
)

// Program counters of the compactor.
const (
	kIdle      = iota
	kDraining  // lease live, victim draining
	kListed    // recipes with edges listed
	kAnnounced // new pack and recipes announced
	kPut       // new pack in the store
	kSealed    // between two objects
	kRoot      // root of the next object's new generation is in the store
	kDone
	kDead
)

// Program counters of the reader.
const (
	rIdle     = iota
	rResolved // generation known
	rRoot     // root read
	rMissing  // root or pack was not found
	rFailed   // gave up on an image that is live
)

// Phases of a Delete in flight.
const (
	dDecided  = iota // the Delete is on its way
	dLanded          // the blob is gone, the row does not say so yet
	dRecorded        // the row says so, the Delete takes effect later
)

// Phases of the collector's cycle.
const (
	cChecked = iota // step 3 passed: deletes are allowed
	cBegun          // epoch raised in the ledger, its blob not yet Put
	cPut            // blob acknowledged, cards not yet compared
	cNone           // no cycle since the start or the restore
)

// Phases of backup and restore.
const (
	bkNone = iota
	bkTaken
	bkRestored
)

// state is everything: ledger, its backup, store, processes, and what users
// were told. All fields are small numbers or sets of at most 8 (bit sets).
type state struct {
	now, backup ledger

	// Store.
	packs   uint8 // set of packs stored
	roots   uint8 // set of recipes whose root is stored
	cards   uint8 // set of images with their first card stored
	tombs   uint8 // set of images with their delete card stored
	late    uint8 // set of packs with a Put in flight of unknown outcome
	ahead   uint8 // 1: epoch/<backup's epoch + 1> is stored
	skipped uint8 // cycles begun since the backup, at most 2

	// What hooks may name, and the bytes that a second sealing made.
	hooked   uint8 // set of packs named by any root ever written
	resealed uint8 // ResealRetry: Put in flight carries other bytes
	bad      uint8 // ResealRetry: stored bytes are not those of the row

	// Processes.
	wpc, wpack   [writers]uint8 // wpack: candidate, then the pack committed
	kpc, ktodo   uint8          // ktodo: objects listed and not yet swapped
	seen, dirty  [2]uint8       // collectors: pack+1 seen free; stamp moved
	del, dphase  [2]uint8       // deleters: blob+1 and phase
	rpc          uint8
	rimg, rgen   uint8
	cycle        uint8
	bk           uint8
	frozen       uint8 // the collector found the roll-back, and stopped
	readOnly     uint8 // the start-up check found the roll-back
	acked        uint8 // set of images whose creation was answered
	erased       uint8 // set of images whose delete transaction has committed
	ackedDeleted uint8 // set of images whose deletion was answered
	clawed       uint8 // DeleteCardsOnly: deletes of cards in flight
}

func initial(c *Config) state {
	var s state
	s.now.row[0] = rowActive
	s.now.obj[0] = objLive
	s.now.rec[0] = recCurrent
	s.now.pack[packA] = packSealed
	s.now.carded = 7
	for w := range c.Writers {
		s.now.row[1+w] = rowSaving
	}
	s.packs, s.roots, s.cards = 1<<packA, 1, 1
	s.hooked = 1 << packA
	s.acked = 1
	if c.Rollback {
		s.cycle = cNone
	}
	return s
}

// deleted says whether image i has a row, and the row says deleted.
func (l *ledger) deleted(i int) bool { return l.row[i] >= rowDeleted }

// gen says which generation of object i is current: 0 for the first.
func (l *ledger) gen(i int) int { return int(l.gen2>>i) & 1 }

// packOf says which pack generation g (0 or 1) of image i refers to.
func (s *state) packOf(i, g int) int {
	switch {
	case g == 1:
		return packK
	case i == 0:
		return packA
	}
	return int(s.wpack[i-1])
}

// edge says whether any live object refers to pack p.
func (s *state) edge(p int) bool {
	for i := range images {
		if s.now.obj[i] == objLive && s.packOf(i, s.now.gen(i)) == p {
			return true
		}
	}
	return false
}

// leased says whether any live lease holds pack p.
func (l *ledger) leased(p int) bool {
	for x, held := range l.held {
		if l.live>>x&1 == 1 && held>>p&1 == 1 {
			return true
		}
	}
	return false
}

// end ends lease x, whatever its outcome.
func (l *ledger) end(x int) {
	l.live &^= 1 << x
	l.held[x] = 0
}

// bump adds one to pack p's stamp. A stamp has only one use, to be compared
// with the one a collector saw: a bit per collector is all of it.
func (s *state) bump(p int) {
	for c := range s.seen {
		if int(s.seen[c]) == p+1 {
			s.dirty[c] = 1
		}
	}
}

// whole says whether generation g of image i is complete in the store.
func (s *state) whole(i, g int) bool {
	p := s.packOf(i, g)
	return s.roots>>(2*i+g)&1 == 1 && s.packs>>p&1 == 1 && s.bad>>p&1 == 0
}

// rebuilds says whether a rebuild from the store alone brings image i back.
func (s *state) rebuilds(i int) bool {
	return s.cards>>i&1 == 1 && s.tombs>>i&1 == 0 && (s.whole(i, 0) || s.whole(i, 1))
}

// encode gives each ledger its own 63 bits.
func (l *ledger) encode() uint64 {
	var w uint64
	for i := range images {
		w = w<<4 | uint64(l.row[i])*3 + uint64(l.obj[i])
	}
	for _, r := range l.rec {
		w = w<<3 | uint64(r)
	}
	for _, k := range l.pack {
		w = w<<3 | uint64(k)
	}
	for _, h := range l.held {
		w = w<<npacks | uint64(h)
	}
	return w<<9 | uint64(l.live)<<6 | uint64(l.gen2)<<3 | uint64(l.carded)
}

// encode gives each state its own 256 bits.
func (s *state) encode() (w [4]uint64) {
	w[0] = s.now.encode()
	if s.bk == bkTaken {
		w[1] = s.backup.encode() // else there is none
	}
	w[2] = uint64(s.packs) | uint64(s.late)<<4 | uint64(s.hooked)<<8 | uint64(s.resealed)<<12 |
		uint64(s.bad)<<16 | uint64(s.roots)<<20 | uint64(s.cards)<<26 | uint64(s.tombs)<<29 |
		uint64(s.ahead)<<32 | uint64(s.skipped)<<33 | uint64(s.frozen)<<35 | uint64(s.readOnly)<<36 |
		uint64(s.cycle)<<37 | uint64(s.bk)<<39 | uint64(s.acked)<<41 | uint64(s.erased)<<44 |
		uint64(s.ackedDeleted)<<47 | uint64(s.clawed)<<50 | uint64(s.rpc)<<53 | uint64(s.rimg)<<56 |
		uint64(s.rgen)<<58
	w[3] = uint64(s.wpc[0]) | uint64(s.wpack[0])<<4 | uint64(s.wpc[1])<<6 | uint64(s.wpack[1])<<10 |
		uint64(s.kpc)<<12 | uint64(s.ktodo)<<16 |
		uint64(s.seen[0])<<19 | uint64(s.dirty[0])<<22 | uint64(s.seen[1])<<23 | uint64(s.dirty[1])<<26 |
		uint64(s.del[0])<<27 | uint64(s.dphase[0])<<31 | uint64(s.del[1])<<33 | uint64(s.dphase[1])<<37
	return w
}

// hash is a 64-bit hash of the encoding, never 0.
func (s *state) hash() uint64 {
	w := s.encode()
	const a, b, c = 0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3
	hi, lo := bits.Mul64(w[0]^a, w[1]^b)
	x := hi ^ lo
	hi, lo = bits.Mul64(w[2]^b, w[3]^x^c)
	x ^= hi ^ lo
	hi, lo = bits.Mul64(x^c, w[0]^bits.RotateLeft64(w[2], 29)^a)
	if h := hi ^ lo; h != 0 {
		return h
	}
	return 1
}
