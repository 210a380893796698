package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"kuva/client"
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
	// more, if not nil, tells what else there is to say of an upload that asks
	// first.
	more func(x client.AskProgress) string
	note atomic.Pointer[string] // what it said last
}

// ask is at for an upload that asks first.
func (p *progress) ask(x client.AskProgress) {
	if p.more != nil {
		text := p.more(x)
		p.note.Store(&text)
	}
	p.at(x.Done, x.Total)
}

// noted is what stands behind the line.
func (p *progress) noted() string {
	if text := p.note.Load(); text != nil {
		return "; " + *text
	}
	return ""
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
	shown := &progress{say: func(line string) { _, _ = fmt.Fprintln(p, line) }}
	bar := p.AddBar(max(total, 0),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string {
			return progressLine(verb, s.Current, s.Total, time.Since(began)) + shown.noted() + " "
		})))
	shown.at = func(done, total int64) {
		if total >= 0 {
			bar.SetTotal(total, false)
		}
		bar.SetCurrent(done)
	}
	shown.end = func() {
		if !bar.Completed() {
			bar.Abort(false)
		}
		p.Wait()
	}
	return shown
}

func newLines(out io.Writer, verb string, total int64) *progress {
	var mu sync.Mutex
	began := time.Now()
	last := began
	say := func(line string) { fmt.Fprintln(out, line) }
	shown := &progress{end: func() {}}
	shown.at = func(done, all int64) {
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
		say(progressLine(verb, done, all, t.Sub(began)) + shown.noted())
	}
	shown.say = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		say(line)
	}
	return shown
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
