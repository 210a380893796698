// Package images holds the use cases of images: create, fill, list, show,
// change, share, download, deactivate, delete. It decides, in transactions of
// the catalogue; doors only translate.
//
// Every method takes the caller's principal. An image that the caller may not
// see is answered exactly like one that does not exist (kuva.CodeNotFound); an
// image that it sees but may not change is kuva.CodeForbidden. Errors are
// *kuva.Error with a code of the closed list and a sentence; whatever has no
// code is internal.
//
// # How content comes in
//
// There is one sink (ingest.go), which holds the only call of depot.Create in
// the program:
//
//	Source ──► reserve quota ──► queued→saving ──► depot writer ─┬─► commit ──► card ──► answer
//	                                   │              MD5, hash ──┘   (one transaction: object,
//	                                   └── any failure: back to queued, space returned,  image, quota, audit)
//	                                       reason kept on the image
//
// # What is durable when
//
// Creating, activating, deactivating, deleting, and changes of owner,
// visibility and members answer after their card is durable in the store;
// other changes answer when the database has them, their card follows within
// seconds (card.go). The outbox is in the row itself: card_version < version.
//
// # Space
//
// quota_use has one row a project: images, bytes of images with content, bytes
// reserved by uploads under way. A reservation is taken before the bytes are,
// so uploads in parallel never overrun a quota (quota.go).
package images
