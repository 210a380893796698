// Package protocol is the depot's protocol as a model that can be searched:
// which steps there are, in which order, and what must hold after each. It has
// nothing of the depot's code; the depot's tests import it.
//
// # What is modelled
//
// Each numbered step of writing, reading, collecting, compacting and rolling
// back is one atomic action, a transaction or one effect on the store. A lease
// may expire at any time, which stands for every clock. Processes may stop
// between any two steps and go on later, or crash. A Put of a pack succeeds, or
// fails and lands at any later time, even after a Delete. A Delete takes effect
// at any later time. Hooks may name any recipe ever written. Two collectors are
// two leaders: nothing tests the cycle's token. The user may delete any image at
// any time. The ledger may be backed up once and restored once, at any point.
//
// The universe: image A {c0, c1} is stored in pack pA and acknowledged; writers
// B and C each write {c0}, with a pack of their own or out of any pack a hook
// names; the compactor moves what lives in pA to pK.
//
// The state holds rows, edges and leases of the ledger, its backup, what is
// stored, where each process stands, and what users were told. Two numbers that
// grow for ever are replaced by what they decide: a pack's stamp by "moved since
// this collector looked", a condemned_epoch by "earlier than the current epoch or
// not". So the state fits 256 bits and whole configurations can be searched.
//
// # What is simplified
//
//   - Puts of roots, cards and epoch blobs do not fail; a card and its row's
//     card_version are written in one step, with the 2xx: an answer may come any
//     time after, so the invariants ask for it at once.
//   - All segments of an image lie in the pack of its chunks.
//   - pack_check is every pack; tombstone rows stay for ever.
//   - A restore stops all nodes, though not what they sent to the store; the
//     merge after a noticed roll-back is not modelled. Nor are pins and reuse of a
//     whole object (the same guard rule), grants, shredding, quota.
//   - Without Rollback, steps 1 to 3 of a cycle are one step.
//   - Compaction and each upload happen once.
//
// # What was searched
//
// On two shared cores, some 300,000 to 700,000 states a second on one of them
// (TestCorrectProtocol, TestSoak; w writers, c collectors, d deleters):
//
//	1w 2c 2d, reader, late put, crashes                  all 14,733,182 states
//	1w 2c 1d, reader, late put and delete, crashes       all  5,029,309
//	1w 1c 1d, compactor                                  all 22,791,660
//	1w 1c 1d, reader, late put and delete, crashes       all  1,914,059  (CI)
//	1w 2c 2d                                             all    712,678  (CI)
//	0w 1c 2d, compactor, reader, late put, crashes       all  2,342,826  (CI)
//	0w 1c 2d, roll-back, crashes                         all     11,158  (CI)
//
// The others are bounded: by 1,000,000 states (9 to 16 steps) in CI, by 50 million
// in a soak; and by random runs of everything together to their end, 40,000 in CI,
// up to 140 steps long. The correct protocol is also searched as deep as each
// naive variant takes to fail. CI: 19 s of CPU, 290 MiB.
//
// # What the search adds to the protocol's page
//
// Two rules are not written there, and are needed; both are variants here.
//
//   - A cycle may raise the epoch only when the blob of the current epoch is
//     stored (EpochGap). Else a leader that dies between steps 1 and 2 leaves a
//     hole, and the check at start, which looks for the next number, does not see
//     the epochs behind it.
//   - A delete card stays, beyond the roots of its image, until an epoch has passed
//     since the transaction that deleted the image (TombAtOnce). Else an image
//     without content is deleted and acknowledged, its cards are dropped, the ledger
//     rolls back unnoticed and the image is there again, and can be filled.
//
// # The seam
//
// [Checker] replays [Event]s that the real depot records against the same rules
// and invariants, so that a random history of the real code is judged by the
// protocol and not by itself.
package protocol
