package kuvav1

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kuva"
	"kuva/internal/job"
)

// maxValue bounds the value of one parameter, in bytes.
const maxValue = 255

// defaultPage and maxPage bound a page of a list.
const (
	defaultPage = 100
	maxPage     = 1000
)

// params are the parameters of a query, each at most once.
type params map[string]string

// parseQuery reads a query that may have the known parameters. What is unknown
// is refused rather than ignored: a misspelt filter must not show everything.
func parseQuery(raw string, known ...string) (params, error) {
	return parseLong(maxValue, raw, known...)
}

// parseLong is parseQuery for values of up to most bytes.
func parseLong(most int, raw string, known ...string) (params, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, kuva.E(kuva.CodeInvalid, "kuvav1.query").Because(err)
	}
	p := make(params, len(values))
	for name, v := range values {
		if !slices.Contains(known, name) {
			return nil, kuva.E(kuva.CodeInvalid, "kuvav1.parameter_unknown", "name", short(name))
		}
		if len(v) != 1 {
			return nil, kuva.E(kuva.CodeInvalid, "kuvav1.parameter_twice", "name", name)
		}
		if len(v[0]) > most || !utf8.ValidString(v[0]) || strings.ContainsFunc(v[0], isControl) {
			return nil, kuva.E(kuva.CodeInvalid, "kuvav1.parameter_value", "name", name)
		}
		p[name] = v[0]
	}
	return p, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// short keeps a name of any length and content out of the sentence.
func short(name string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name[:min(len(name), 64)])
}

// limit is the wanted length of a page, defaultPage where it is not named. A
// larger one than maxPage is cut to it.
func (p params) limit() (int, error) {
	text, named := p["limit"]
	if !named {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if tooLarge := text != "" && strings.Trim(text, "0123456789") == "" && err != nil; tooLarge {
		return maxPage, nil
	}
	if err != nil || n < 1 {
		return 0, kuva.E(kuva.CodeInvalid, "kuvav1.limit")
	}
	return min(n, maxPage), nil
}

// jobStates are the states that a list of jobs can be asked for.
var jobStates = []job.State{job.Pending, job.Running, job.Succeeded, job.Failed, job.Cancelled}

// states is a comma list of states, nil where it is not named.
func (p params) states() ([]job.State, error) {
	text, named := p["state"]
	if !named {
		return nil, nil
	}
	var out []job.State
	for s := range strings.SplitSeq(text, ",") {
		state := job.State(s)
		if !slices.Contains(jobStates, state) {
			return nil, kuva.E(kuva.CodeInvalid, "kuvav1.state")
		}
		if !slices.Contains(out, state) {
			out = append(out, state)
		}
	}
	return out, nil
}

// next is the path of the page after this one: the same question with another
// marker.
func (p params) next(r *http.Request, marker string) *string {
	q := url.Values{}
	for name, value := range p {
		q.Set(name, value)
	}
	q.Set("marker", marker)
	s := r.URL.EscapedPath() + "?" + q.Encode()
	return &s
}
