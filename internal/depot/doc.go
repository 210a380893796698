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
package depot
