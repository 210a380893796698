package disktest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Budget of a row: CPU time and memory, whatever the file says.
const (
	RowCPU    = 2 * time.Second
	RowMemory = 256 << 20
)

// Ledger notes what comes of each row of the corpora. It is for one goroutine.
type Ledger struct {
	lines map[string]string // by file
}

// Run tests a row, within the budget, and notes the outcome that the test
// gives.
func (l *Ledger) Run(t *testing.T, row Row, test func(*testing.T, Row) string) {
	t.Helper()
	t.Run(row.File, func(t *testing.T) {
		cpu, memory := usage(t)
		outcome := test(t, row)
		cpu2, memory2 := usage(t)
		if cpu2-cpu > RowCPU {
			t.Errorf("it took %s of CPU", cpu2-cpu)
		}
		// The most memory that the process ever had, so only a row that
		// raises it can be too large.
		if memory2 > memory && memory2 > RowMemory {
			t.Errorf("it took %d MiB", memory2>>20)
		}
		if l.lines == nil {
			l.lines = map[string]string{}
		}
		expected, _, _ := strings.Cut(row.Expected, ":")
		expected, _, _ = strings.Cut(expected, ";")
		file := row.name()
		line := fmt.Sprintf("| %s | %s | %s | %s |", file, row.Class, expected, strings.ReplaceAll(outcome, "|", "/"))
		if old := l.lines[file]; old != "" && old != line {
			t.Errorf("two copies of one file have two outcomes:\n%s\n%s", old, line)
		}
		l.lines[file] = line
	})
}

// name is that of a file in every corpus that has it.
func (row Row) name() string {
	name := row.File
	for _, part := range []string{"permissive/", "copyleft/"} {
		name = strings.TrimPrefix(name, part)
	}
	if !strings.Contains(name, "/") {
		name = row.Class + "/" + name
	}
	return name
}

// Check compares what was noted with a section of a page, whose lines stand
// between two comments with its name. Rows that were not run need not agree.
// update writes the section anew; that wants all rows.
func (l *Ledger) Check(t *testing.T, page, section string, update bool) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin "+section+" -->\n", "<!-- end "+section+" -->\n"
	before, rest, ok := strings.Cut(string(b), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %q", page, section)
	}
	var lines []string
	for _, line := range l.lines {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	if update {
		if os.Getenv("CORPUS") == "" {
			t.Fatal("to write the page anew, set CORPUS")
		}
		table := "| file | class | expected | outcome |\n|---|---|---|---|\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, line := range lines {
		if !strings.Contains(old, line+"\n") {
			t.Errorf("%s says something else than: %s\nLook at it; with CORPUS set, -update writes the page anew.", page, line)
		}
	}
}

// usage is the CPU time and the most memory of the process so far.
func usage(t *testing.T) (time.Duration, int64) {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss << 10
}
