// Package depot keeps every byte once: deduplicated, compressed, sealed and
// crash-safe, over any blob.Store, with a small ledger in the catalogue's
// database.
//
// # What is stored
//
//	key/<realm>/<key-id>/<wrap-no>   the realm's keys, wrapped
//	pack/<realm>/<epoch>/<id>        header · sealed chunks · index · trailer
//	recipe/<realm>/<object>/<gen>    root: size, digests, packs, segments
//	card/<image>/<version>           sealed record of one image at one version
//	epoch/<n>, store                 the collector's cycles; the store's id
//
//	object ──► recipe (root) ──► segments ──► chunks
//	                              (both lie sealed in packs)
//
// A chunk is a piece of at most chunk.Size bytes. Its name is its BLAKE3
// hash, hashed again under the realm's name key; its bytes are compressed
// where that pays and sealed with AES-256-GCM under HKDF(data key, name), with
// realm, name and key id as associated data, so that opening a chunk is its
// verification. An object is a list of chunks and holes, cut by content into
// segments of about 1,024 chunks which are stored as chunks themselves.
//
// # Keeping
//
// Whoever adds a reference to a pack raises its stamp first, and the row count
// tells whether it may; whoever wants a pack gone reads the stamp, sees no
// edge and no lease, and tests the stamp in its UPDATE. Objects have the same
// rule (UseObject, Pin). Nothing else decides, no clock does.
//
//	open ──► sealed ──► draining ──► condemned ──► deleted
//	   └────────┴──────────────────────►          (one way)
//
// Collect runs a cycle: epoch, cards against rows, leases, objects, recipes,
// packs, then blobs condemned in an earlier epoch. Compact rewrites packs and
// gives objects a next generation; it never condemns. Rebuild brings ledger
// and images back from the store, and merges an older ledger with it. Verify
// reads and compares everything.
//
// Rows of pack_check are inserted with DO UPDATE, which locks them: an edge
// that goes while the collector looks at its pack puts the row back.
//
// Epochs have no gap: a cycle fills in what a crash left out before it takes
// the next number, and a rebuild, which skips one, writes both. So a ledger
// that is older than the store finds its successor's blob, and a store that is
// older than the ledger lacks several.
package depot
