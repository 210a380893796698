package protocol

import "fmt"

// Step is one atomic action: a transaction, or one effect on the store.
type Step struct {
	kind stepKind
	a, b uint8
}

type stepKind uint8

const (
	sBegin stepKind = iota
	sFind
	sFindNone
	sTouch
	sRefused
	sAnnounce
	sPutOK
	sPutUnknown
	sPutLands
	sSeal
	sRootPut
	sCommit
	sFenced
	sCrash
	sCard
	sTomb
	sErase
	sTombDrop
	sClawed
	sExpire
	sObjectDead
	sRecipeCondemned
	sSeen
	sCondemn
	sStampMoved
	sCycle
	sEpochPut
	sCompare
	sDecide
	sLand
	sRecord
	sLost
	sKBegin
	sKList
	sKAnnounce
	sKPutOK
	sKPutUnknown
	sKSeal
	sKRoot
	sKSwap
	sKSkip
	sKAbort
	sKEnd
	sResolve
	sGetRoot
	sGetPack
	sNotFound
	sAgain
	sBackup
	sRestore
)

var stepText = [...]string{
	sBegin: "writer %s: begin", sFind: "writer %s: hook finds %s", sFindNone: "writer %s: no candidate",
	sTouch: "writer %s: lease %s", sRefused: "writer %s: lease refused, stores anew", sAnnounce: "writer %s: announce its pack",
	sPutOK: "writer %s: put its pack", sPutUnknown: "writer %s: put, outcome unknown", sPutLands: "store: late put of %s lands",
	sSeal: "writer %s: seal", sRootPut: "writer %s: root", sCommit: "writer %s: commit", sFenced: "writer %s: lease gone, gives up",
	sCrash: "%s: crash", sCard: "card %s, 2xx", sTomb: "delete card %s", sErase: "user: delete image %s",
	sTombDrop: "cards %s dropped", sClawed: "delete of card %s lands",
	sExpire: "collector: lease %s expired", sObjectDead: "collector: object %s dead", sRecipeCondemned: "collector: recipe %s condemned",
	sSeen: "collector: %s seen free", sCondemn: "collector: %s condemned", sStampMoved: "collector: %s's stamp moved, left alone",
	sCycle: "collector: epoch+1", sEpochPut: "collector: epoch blob put", sCompare: "collector: cards compared",
	sDecide: "deleter: delete of %s decided", sLand: "store: %s deleted", sRecord: "deleter: row of %s deleted", sLost: "deleter: crash, delete of %s lost",
	sKBegin: "compactor: lease, victim draining", sKList: "compactor: recipes listed", sKAnnounce: "compactor: announce",
	sKPutOK: "compactor: put new pack", sKPutUnknown: "compactor: put, outcome unknown", sKSeal: "compactor: seal", sKRoot: "compactor: root of %s",
	sKSwap: "compactor: swap %s", sKSkip: "compactor: %s changed, skipped", sKAbort: "compactor: gives up", sKEnd: "compactor: end of lease",
	sResolve: "reader: resolve %s", sGetRoot: "reader: root read", sGetPack: "reader: pack read", sNotFound: "reader: not found",
	sAgain: "reader: resolve again", sBackup: "ledger: backup", sRestore: "ledger: restore",
}

var (
	packNames  = [...]string{"pA", "pB", "pC", "pK"}
	imageNames = [...]string{"A", "B", "C"}
	leaseNames = [...]string{"B", "C", "K"}
)

// blobName names what a deleter deletes: packs, then roots.
func blobName(b uint8) string {
	if b < npacks {
		return packNames[b]
	}
	b -= npacks
	return fmt.Sprintf("root %s/%d", imageNames[b/2], b%2+1)
}

// String says the step in one line. A writer has the name of the image that it
// writes: B or C.
func (s Step) String() string {
	text := stepText[s.kind]
	switch s.kind {
	case sBegin, sFindNone, sRefused, sAnnounce, sPutOK, sPutUnknown, sSeal, sRootPut, sCommit, sFenced, sExpire:
		return fmt.Sprintf(text, leaseNames[s.a])
	case sFind, sTouch:
		return fmt.Sprintf(text, leaseNames[s.a], packNames[s.b])
	case sPutLands, sSeen, sCondemn, sStampMoved:
		return fmt.Sprintf(text, packNames[s.a])
	case sCrash:
		if s.a == leaseK {
			return fmt.Sprintf(text, "compactor")
		}
		return fmt.Sprintf(text, "writer "+leaseNames[s.a])
	case sCard, sTomb, sErase, sTombDrop, sClawed, sObjectDead, sKRoot, sKSwap, sKSkip, sResolve:
		return fmt.Sprintf(text, imageNames[s.a])
	case sRecipeCondemned:
		return fmt.Sprintf(text, blobName(s.a + npacks)[len("root "):])
	case sDecide, sLand, sRecord, sLost:
		return fmt.Sprintf(text, blobName(s.a))
	}
	return text
}

// steps collects what may happen next. system counts the steps of actors that
// never stop: when it is 0, the state is final for them.
type steps struct {
	c      *Config
	states []state
	did    []Step
	system int
}

func (n *steps) reset() {
	n.states, n.did, n.system = n.states[:0], n.did[:0], 0
}

// add emits a successor that users, writers, compactor or reader may choose.
func (n *steps) add(s state, kind stepKind, args ...uint8) {
	st := Step{kind: kind}
	if len(args) > 0 {
		st.a = args[0]
	}
	if len(args) > 1 {
		st.b = args[1]
	}
	n.states = append(n.states, s)
	n.did = append(n.did, st)
}

// sys emits a successor that comes sooner or later.
func (n *steps) sys(s state, kind stepKind, args ...uint8) {
	n.add(s, kind, args...)
	n.system++
}

// next fills n with every state that one step leads to from s.
func (n *steps) next(s *state) {
	n.reset()
	n.store(s)
	if s.readOnly == 1 {
		return
	}
	for w := range n.c.Writers {
		n.writer(s, w)
	}
	n.cards(s)
	n.collector(s)
	n.deleters(s)
	if n.c.Compactor {
		n.compactor(s)
	}
	if n.c.Reader {
		n.reader(s)
	}
	if n.c.Rollback {
		n.rollback(s)
	}
}
