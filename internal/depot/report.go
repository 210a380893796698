package depot

import (
	"fmt"
	"strings"
)

// Tally counts things and their sealed bytes.
type Tally struct {
	Count int64
	Bytes int64
}

func (t *Tally) add(bytes int64) { t.Count++; t.Bytes += bytes }

func (t Tally) String() string { return fmt.Sprintf("%d (%s)", t.Count, byteSize(t.Bytes)) }

// byteSize writes a size for people.
func byteSize(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// Report says what a cycle of the collector did, or would do.
type Report struct {
	DryRun bool
	Epoch  int64

	Leases    int64 // expired
	Objects   Tally // died in this cycle
	Recipes   Tally // condemned
	Condemned Tally // packs condemned
	Deleted   Tally // blobs of packs and recipes deleted
	Cards     int64 // old cards and cards of deleted images removed
	Returned  int64 // blobs deleted before that were there again, deleted once more
	Unknown   Tally // blobs that nothing knows, deleted
	Dropped   int64 // rows of what is gone for good

	Compacted Compacted // zero unless asked for

	// What the store holds after the cycle, by the ledger.
	Live    Tally // packs sealed or draining; bytes that objects refer to
	Garbage int64 // bytes in those packs that no object refers to
	Open    Tally // packs being written
	Waiting Tally // packs condemned, to be deleted in the next cycle

	// Notes are blobs that the collector does not understand and leaves alone.
	Notes []string
	// Plan lists each step in a dry run, the first planMost of them.
	Plan []string
}

const planMost = 10_000

func (r *Report) plan(format string, args ...any) {
	if r.DryRun && len(r.Plan) < planMost {
		r.Plan = append(r.Plan, fmt.Sprintf(format, args...))
	}
}

func (r *Report) note(format string, args ...any) {
	if len(r.Notes) < 1000 {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}
}

// String is the report for people, one fact a line; of a dry run the plan
// comes first.
func (r Report) String() string {
	var b strings.Builder
	for _, line := range r.Plan {
		fmt.Fprintln(&b, line)
	}
	if len(r.Plan) == planMost {
		fmt.Fprintf(&b, "... only the first %d steps are shown\n", planMost)
	}
	line := func(name string, t Tally) {
		if t.Count != 0 || t.Bytes != 0 {
			fmt.Fprintf(&b, "%-28s %s\n", name, t)
		}
	}
	fmt.Fprintf(&b, "%-28s %d\n", "cycle", r.Epoch)
	line("leases expired", Tally{Count: r.Leases})
	line("objects without image", r.Objects)
	line("recipes condemned", r.Recipes)
	line("packs condemned", r.Condemned)
	line("blobs deleted", r.Deleted)
	line("cards removed", Tally{Count: r.Cards})
	line("deleted blobs found again", Tally{Count: r.Returned})
	line("unknown blobs deleted", r.Unknown)
	line("packs rewritten", r.Compacted.Victims)
	line("packs written anew", r.Compacted.Packs)
	line("live", r.Live)
	line("garbage in live packs", Tally{Bytes: r.Garbage})
	line("being written", r.Open)
	line("condemned, not yet deleted", r.Waiting)
	for _, n := range r.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	return b.String()
}
