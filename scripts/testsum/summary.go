package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
}

type test struct{ pkg, name string }

// summary collects events. Output of a test is kept until its result is
// known, and printed only if it failed.
type summary struct {
	out             io.Writer
	output          map[test][]string
	parents         map[test]bool
	passed, skipped map[test]bool
	failed          map[test]bool
	failedPackages  []string
	reasons         []string
}

func newSummary(out io.Writer) *summary {
	return &summary{
		out: out, output: map[test][]string{}, parents: map[test]bool{},
		passed: map[test]bool{}, skipped: map[test]bool{}, failed: map[test]bool{},
	}
}

func (s *summary) add(e event) {
	t := test{e.Package, e.Test}
	if e.Test == "" {
		s.addPackage(t, e)
		return
	}
	switch e.Action {
	case "run":
		for name := e.Test; ; {
			i := strings.LastIndexByte(name, '/')
			if i < 0 {
				break
			}
			name = name[:i]
			s.parents[test{e.Package, name}] = true
		}
	case "output":
		s.output[t] = append(s.output[t], e.Output)
	case "pass":
		s.passed[t] = true
		delete(s.output, t)
	case "skip":
		s.skipped[t] = true
		s.reasons = append(s.reasons, fmt.Sprintf("not run: %s %s: %s", e.Package, e.Test, reason(s.output[t])))
		delete(s.output, t)
	case "fail":
		s.failed[t] = true
		s.print(t)
	}
}

// addPackage takes the events that belong to no test.
func (s *summary) addPackage(t test, e event) {
	switch e.Action {
	case "build-output":
		io.WriteString(s.out, e.Output)
	case "output":
		// The line that a reader of go test looks for comes at once, and a
		// package's other output where something is wrong with it.
		if strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "panic: test timed out") {
			io.WriteString(s.out, e.Output)
			return
		}
		s.output[t] = append(s.output[t], e.Output)
	case "fail":
		s.failedPackages = append(s.failedPackages, e.Package)
		for _, left := range s.unfinished(e.Package) {
			s.failed[left] = true
			s.print(left)
		}
		s.print(t)
	case "pass", "skip":
		delete(s.output, t)
	}
}

// unfinished lists the tests of a package that wrote and never ended, because
// their process did.
func (s *summary) unfinished(pkg string) []test {
	var all []test
	for t := range s.output {
		if t.pkg == pkg && t.name != "" {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b test) int { return strings.Compare(a.name, b.name) })
	return all
}

func (s *summary) print(t test) {
	for _, line := range s.output[t] {
		io.WriteString(s.out, line)
	}
	delete(s.output, t)
}

// reason finds what a test gave to t.Skip.
func reason(output []string) string {
	last := "no reason given"
	for _, line := range output {
		line = strings.TrimSpace(line)
		if _, why, ok := strings.Cut(line, "not run: "); ok {
			return why
		}
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			last = line
		}
	}
	return last
}

// close prints what the reader should see last.
func (s *summary) close() {
	slices.Sort(s.reasons)
	for _, r := range s.reasons {
		fmt.Fprintln(s.out, r)
	}
	slices.Sort(s.failedPackages)
	for _, p := range s.failedPackages {
		fmt.Fprintf(s.out, "FAIL\t%s\n", p)
	}
	failed := s.leaves(s.failed)
	if failed == 0 {
		failed = len(s.failedPackages) // did not build, or ended without a test to blame
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.leaves(s.passed), failed, s.leaves(s.skipped))
}

// leaves counts the tests that are not only the frame of others.
func (s *summary) leaves(tests map[test]bool) int {
	n := 0
	for t := range tests {
		if !s.parents[t] {
			n++
		}
	}
	return n
}
