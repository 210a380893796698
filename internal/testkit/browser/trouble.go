package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// troubles collects what no page should do: write errors to the console,
// throw, break its Content-Security-Policy, open dialogs, call pwned.
type troubles struct {
	mu      sync.Mutex
	all     []string
	allowed []*regexp.Regexp
	// chooser gets the next file chooser that opens.
	chooser chan *page.EventFileChooserOpened
	// dismiss closes a dialog, which the page waits for.
	dismiss func()
}

// Allow takes back what a test provokes on purpose: troubles whose text a
// regular expression matches, before and after the call. A browser notes each
// answer of 400 and above as an error, even one that the page expects.
func (p *Page) Allow(pattern string) {
	p.trouble.mu.Lock()
	defer p.trouble.mu.Unlock()
	p.trouble.allowed = append(p.trouble.allowed, regexp.MustCompile(pattern))
}

// Troubles returns what the page did that it should not, which also fails the
// test at its end unless allowed.
func (p *Page) Troubles() []string { return p.trouble.list() }

func (t *troubles) list() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
next:
	for _, s := range t.all {
		for _, a := range t.allowed {
			if a.MatchString(s) {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

func (t *troubles) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := fmt.Sprintf(format, args...); len(t.all) < 100 && !slices.Contains(t.all, s) {
		t.all = append(t.all, s)
	}
}

// listen is called by the goroutine that reads from the browser and must not
// wait for anything.
func (t *troubles) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning && e.Type != runtime.ConsoleAPICalledTypeAssert {
			return
		}
		var words []string
		for _, a := range e.Args {
			if a.Value != nil {
				words = append(words, string(a.Value))
			} else {
				words = append(words, a.Description)
			}
		}
		t.add("console.%s: %s", e.Type, strings.Join(words, " "))
	case *runtime.EventExceptionThrown:
		what := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			what += " " + x.Description
		}
		t.add("exception: %s", what)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			t.add("%s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			t.add("content security policy: %s blocks %q (%s)", d.ViolatedDirective, d.BlockedURL, d.ContentSecurityPolicyViolationType)
		}
	case *page.EventJavascriptDialogOpening:
		if e.Type != page.DialogTypeBeforeunload {
			t.add("a dialog of JavaScript: %s", e.Message)
		}
		go t.dismiss()
	case *runtime.EventBindingCalled:
		t.add("a text ran as a program: pwned(%s)", e.Payload)
	case *page.EventFileChooserOpened:
		t.mu.Lock()
		if t.chooser != nil {
			t.chooser <- e
			t.chooser = nil
		}
		t.mu.Unlock()
	}
}
