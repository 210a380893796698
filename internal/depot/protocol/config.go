package protocol

// Naive switches on one mistake. The zero value is the protocol as it is
// meant; each of the others must lose something, or the model proves nothing.
type Naive uint8

// The mistakes, in the order of the protocol's table.
const (
	// Correct is the protocol without a mistake.
	Correct Naive = iota
	// LeaseBlind: the lease row is written without looking at the pack's state.
	LeaseBlind
	// NoStamp: condemn from an earlier snapshot, without testing the stamp.
	NoStamp
	// NoFence: commit and swap do not test that the lease is live.
	NoFence
	// Revive: a writer may make a condemned pack sealed again.
	Revive
	// CompactorCondemns: the compactor condemns its victim when it is done.
	CompactorCondemns
	// RowAfterPut: the pack's row is inserted after the Put.
	RowAfterPut
	// RowAfterPutAudit: the same, with an audit that deletes unknown packs.
	RowAfterPutAudit
	// ResealRetry: a retry seals again, under the same key.
	ResealRetry
	// AckBeforeCard: 2xx before the card is stored.
	AckBeforeCard
	// CardBeforeTx: the card is stored before the transaction commits.
	CardBeforeTx
	// DeleteCardsOnly: deleting an image only deletes its cards.
	DeleteCardsOnly
	// ReaderSticks: a reader does not look for a newer generation.
	ReaderSticks
	// NoEpoch: condemn and delete in one cycle, and no check at start.
	NoEpoch
	// RootsOneStep: roots are deleted in the cycle that condemned them.
	RootsOneStep
	// NoCardCheck: cards are not compared with rows.
	NoCardCheck
	// EpochGap: a cycle may begin before the last one's epoch blob is stored,
	// so that the blobs are not consecutive and the check at start, which
	// looks for the next one, misses them. Not in the protocol's table.
	EpochGap
	// TombAtOnce: a delete card goes as soon as its image has no root. Not in
	// the protocol's table.
	TombAtOnce
)

var naiveNames = []string{
	"correct", "lease blind", "no stamp", "no fence", "revive", "compactor condemns",
	"row after put", "row after put, audit", "reseal on retry", "2xx before card",
	"card before transaction", "delete only cards", "reader sticks", "no epoch",
	"roots in one step", "no card check", "epoch gap", "delete card dropped at once",
}

func (n Naive) String() string { return naiveNames[n] }

// Invariant is a set of invariants, numbered as in the protocol.
type Invariant uint16

// The invariants that are checked after every step.
const (
	// Readable (1): image row ⇒ object live ⇒ recipe current ⇒ its root is
	// stored, and its pack is sealed or draining and stored.
	Readable Invariant = 1 << iota
	// Rebuildable (2): acknowledged and not deleted ⇒ image row (until a
	// roll-back), newest card no delete card, a whole generation.
	Rebuildable
	// StaysDeleted (3): deletion acknowledged ⇒ a rebuild does not bring it back.
	StaysDeleted
	// ReadsEnd (4): a reader of a live image finishes.
	ReadsEnd
	// NoGarbage (5): when collector, deleters and card writers have nothing
	// left to do, nothing is stored that no live object needs.
	NoGarbage
	// RolledBack (6): after an unnoticed roll-back, images in the ledger that
	// nobody deleted read. (Readable asks it of the deleted ones too.)
	RolledBack
	// Known (7): stored bytes have a row, or (after a roll-back) are on the
	// audit's list.
	Known
	// TrueAlarm: the collector's alarm is raised only after a roll-back.
	TrueAlarm

	// All is every invariant.
	All = TrueAlarm<<1 - 1
)

// Config says who acts. The zero value has no actor but the user, who may
// delete any image at any time.
type Config struct {
	Writers    int  // 0 to 2
	Collectors int  // 0 to 2
	Deleters   int  // 0 to 2; Deletes that may be in flight at the same time
	Compactor  bool // rewrites image a's pack once
	Reader     bool
	LatePut    bool // Puts of packs may fail, and land at any later time
	LateDelete bool // a Delete may take effect after the store has acknowledged it
	Crashes    bool // writers, compactor and deleters may die between steps
	Rollback   bool // the ledger is backed up once and restored once
	Naive      Naive
	Check      Invariant // 0 means All
}

func (c *Config) check() Invariant {
	if c.Check == 0 {
		return All
	}
	return c.Check
}
