// Package job does durable background work. A job is a row, put there by the
// transaction that wants it done; any node claims it, beats while it works,
// and another takes over when the beat stops.
//
//	Enqueue
//	   │          retry, node stopping, take-over
//	   ▼        ┌──────────────────────────────┐
//	pending ◄───┘                              │
//	   │ claim: attempt+1                      │
//	   ├──────► cancelled                      │
//	   ▼                                       │
//	running ───────────────────────────────────┘
//	   │
//	   └──► succeeded · failed · cancelled
//
// # Promises
//
//   - A job of a transaction that rolled back does not exist.
//   - A job runs at least once, and reports at most one outcome. attempt is
//     the fence: every claim raises it, and a worker writes only where the row
//     still has the attempt that it claimed. A worker that was asleep while
//     another took over writes nothing; its context ends within Poll. What a
//     handler does outside its row must bear repetition, or be written in a
//     transaction that starts with Run.Fence.
//   - Of a unique key at most one job waits for its first run, and at most one
//     runs. A key that is enqueued while its job runs is run once more
//     afterwards, because the run may have looked before the change.
//   - Cancel ends a waiting job at once and a running one's context within
//     2 × Poll, on whichever node.
//   - A node whose beat stands still for 5 × Beat of the watcher's monotonic
//     time loses its jobs; so does an earlier life of the own node when it
//     starts. No clock decides: a wall clock that jumps costs order and the
//     pause before a retry, which is never longer than an hour.
//   - An idle queue writes nothing: it reads two index entries a second.
//
// # Why not river
//
// The plan was riverqueue/river v0.31.0, whose drivers for database/sql and
// SQLite take the catalogue's transaction. Reading its source decided against
// it. (1) Completion is not fenced: JobSetStateIfRunning tests the state but
// not the attempt, so a worker that wakes after a take-over ends the job that
// another node is running; the completer writes after the handler returned,
// where no check of ours can stand before it. (2) Clocks decide: jobs are
// fetched by scheduled_at <= now, rescued by attempted_at, and the leader
// lives by expires_at, all wall time; a clock set back ten years stops the
// queue for ten years. (3) It writes when idle: the leader renews its row
// every 5 s, an fsync each on SQLite. (4) Heartbeat, attempt, cancel flag,
// progress, image, outcome and take-over had to be in a table of our own
// anyway, joined to river's by id and kept consistent with it. With those the
// own table was the queue, and river a second one beside it. On SQLite its
// maintenance also competes for the one writer connection. What is left to
// write is this package.
package job
