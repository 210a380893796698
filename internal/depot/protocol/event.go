package protocol

import "fmt"

// Kind says what an Event tells. Which fields of the Event it uses stands
// beside it.
type Kind string

// The kinds, in the order of the protocol. "tx" has happened when its
// transaction has committed, the others when the store has answered.
const (
	// Writing.
	Begin    Kind = "begin"    // tx: Lease live, Recipe of Object announced
	Touch    Kind = "touch"    // tx: Lease holds Pack, guard rule done (only if it was)
	Announce Kind = "announce" // tx: row of Pack open, held by Lease
	PutPack  Kind = "put pack" // Pack is stored with bytes Sum; again for a retry or a late Put
	Seal     Kind = "seal"     // tx: Pack sealed under Lease
	PutRoot  Kind = "root"     // root of Recipe is stored and refers to Packs
	Commit   Kind = "commit"   // tx: Recipe current, Lease committed; Image's row (if any) at Version has its object
	PutCard  Kind = "card"     // card of Image at Version is stored; Deleted: a delete card
	Ack      Kind = "ack"      // 2xx for Image's row at Version
	Update   Kind = "update"   // tx: row of Image is at Version, made or changed
	Reuse    Kind = "reuse"    // tx: row of Image at Version has Object, which another image made

	// Leases.
	Abort  Kind = "abort"  // tx: Lease aborted, or ended by a compaction
	Expire Kind = "expire" // tx: Lease expired

	// Reading.
	ReadFailed Kind = "read failed" // a reader of Image gave up with an error other than gone

	// Deleting and collecting.
	Pin        Kind = "pin"         // tx: one more holder of Object
	Unpin      Kind = "unpin"       // tx: one less
	Delete     Kind = "delete"      // tx: row of Image deleted, now at Version
	ObjectDead Kind = "object dead" // tx: Object dead, its current recipe condemned
	Cycle      Kind = "cycle"       // tx: the ledger is at Epoch
	PutEpoch   Kind = "epoch"       // blob of Epoch is stored
	Compared   Kind = "compared"    // cards were compared with rows in Epoch, all well
	Condemn    Kind = "condemn"     // tx: Pack, or Recipe, condemned in Epoch
	DeletePack Kind = "delete pack" // a Delete of Pack, decided in Epoch, is sent
	DeleteRoot Kind = "delete root" // a Delete of Recipe's root, decided in Epoch, is sent
	Deleted    Kind = "deleted"     // tx: row of Pack, or Recipe, deleted
	DropCards  Kind = "drop cards"  // the delete card of Image, dropped in Epoch

	// Compacting.
	Drain          Kind = "drain"           // tx: Pack draining
	AnnounceRecipe Kind = "announce recipe" // tx: Recipe of Object announced under Lease
	Swap           Kind = "swap"            // tx: Recipe is current in place of Old, under Lease
)

// Event is one step that the real depot took. Ids are the ledger's; a field
// that the kind does not name is ignored.
type Event struct {
	Kind    Kind
	Lease   int64
	Pack    int64
	Packs   []int64
	Recipe  int64
	Old     int64
	Object  int64
	Image   string
	Version int64
	Deleted bool
	Epoch   int64
	Sum     string // any digest of the stored bytes
}

// String says the event in one line, for traces.
func (e Event) String() string {
	s := string(e.Kind)
	for _, f := range []struct {
		name string
		v    int64
	}{
		{"lease", e.Lease},
		{"pack", e.Pack},
		{"recipe", e.Recipe},
		{"old", e.Old},
		{"object", e.Object},
		{"version", e.Version},
		{"epoch", e.Epoch},
	} {
		if f.v != 0 {
			s += fmt.Sprintf(" %s=%d", f.name, f.v)
		}
	}
	if e.Image != "" {
		s += " image=" + e.Image
	}
	if len(e.Packs) > 0 {
		s += fmt.Sprintf(" packs=%d", e.Packs)
	}
	if e.Deleted {
		s += " deleted"
	}
	return s
}
