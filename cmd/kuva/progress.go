package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far a transfer is: a bar on a terminal, else a line every
// few seconds, nothing where it is to be quiet. It goes to standard error, so
// that standard output is left to data.
type progress struct {
	at func(done, total int64)
	// end leaves the line whole, as it is then.
	end func()
	// say prints a line beside it.
	say func(line string)
}

const lineEvery = 5 * time.Second

// newProgress begins one. total is -1 where it is not known.
func newProgress(cmd *cobra.Command, quiet bool, verb string, total int64) *progress {
	out := cmd.ErrOrStderr()
	if quiet {
		return &progress{at: func(int64, int64) {}, end: func() {}, say: func(string) {}}
	}
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		return newBar(f, verb, total)
	}
	return newLines(out, verb, total)
}

func newBar(out io.Writer, verb string, total int64) *progress {
	p := mpb.New(mpb.WithOutput(out), mpb.WithWidth(30), mpb.WithAutoRefresh())
	began := time.Now()
	bar := p.AddBar(max(total, 0),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string {
			return progressLine(verb, s.Current, s.Total, time.Since(began)) + " "
		})))
	return &progress{
		at: func(done, total int64) {
			if total >= 0 {
				bar.SetTotal(total, false)
			}
			bar.SetCurrent(done)
		},
		end: func() {
			if !bar.Completed() {
				bar.Abort(false)
			}
			p.Wait()
		},
		say: func(line string) { _, _ = fmt.Fprintln(p, line) },
	}
}

func newLines(out io.Writer, verb string, total int64) *progress {
	var mu sync.Mutex
	began := time.Now()
	last := began
	say := func(line string) { fmt.Fprintln(out, line) }
	return &progress{
		at: func(done, all int64) {
			mu.Lock()
			defer mu.Unlock()
			t := time.Now()
			if t.Sub(last) < lineEvery {
				return
			}
			last = t
			if all < 0 {
				all = total
			}
			say(progressLine(verb, done, all, t.Sub(began)))
		},
		end: func() {},
		say: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			say(line)
		},
	}
}

// progressLine is one line of a transfer, for a log.
func progressLine(verb string, done, total int64, took time.Duration) string {
	speed := float64(done) / max(took.Seconds(), 1e-3)
	if total <= 0 {
		return fmt.Sprintf("%s %s, %s/s", verb, size(done), size(int64(speed)))
	}
	left := time.Duration(float64(total-done)/max(speed, 1)) * time.Second
	return fmt.Sprintf("%s %s of %s (%d %%), %s/s, %s left", verb, size(done), size(total), done*100/total, size(int64(speed)), left)
}

// size writes bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}
