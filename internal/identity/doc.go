// Package identity knows who is who: domains, projects, users, roles, and the
// tokens that stand for them. It owns its tables (0004_identity.sql) and holds
// the use cases of the Identity API v3.
//
// # Tokens
//
// A token is "kv_" and 256 random bits. The database keeps its SHA-256, so a
// copy of the database opens nothing. A check looks in memory first
//
//	token ─ SHA-256 ─► cache (≤ 4 s old) ─ miss ─► token ⋈ account ⋈ project ⋈ assignment
//
// and no entry of the cache is trusted for longer than 4 s, which bounds how
// long another node goes on with a token that was revoked here. In this
// process a revocation, a changed password, role, user or project counts at
// once: it marks the cache before the call that made it returns.
//
// # Clocks
//
// The wall clock of a node may jump by years; tokens must not live longer
// for it. A token is valid while all of these hold:
//
//   - wall: now is before its expiry, and not more than 5 minutes before its
//     issue. A clock that jumped back makes the tokens of the future invalid,
//     one that jumped forward makes all expired. Both cost a new log-in.
//   - monotonic: this process saw it first no longer ago than the lifetime
//     that it then had left. A frozen clock, or one set back by less than 5
//     minutes again and again, adds nothing.
//
// Throttles, cache ages and waits use the monotonic clock alone. A token that
// the bounded cache had to forget is judged by the wall clock only.
//
// # Passwords
//
// argon2id, as PHC strings. Hashing takes much memory, so only few run at one
// time and a bounded number waits. A log-in as an unknown or disabled user
// hashes like any other and gets the same answer.
package identity
