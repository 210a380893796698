package catalog

// Dialect names the engine below. SQL texts are the same for both; the few
// places that differ ask it.
type Dialect int

// The engines.
const (
	SQLite Dialect = iota
	PostgreSQL
)

// String gives the engine's name.
func (d Dialect) String() string {
	if d == PostgreSQL {
		return "postgresql"
	}
	return "sqlite"
}

// SkipLocked is what ends a SELECT that claims rows of a queue: rows that
// another transaction holds are passed over. SQLite has one writer at a time
// and neither needs nor knows the clause.
func (d Dialect) SkipLocked() string {
	if d == PostgreSQL {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// ForUpdate is what ends a SELECT whose rows must not change before the
// transaction ends.
func (d Dialect) ForUpdate() string {
	if d == PostgreSQL {
		return " FOR UPDATE"
	}
	return ""
}
