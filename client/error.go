package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
)

// Error is a refusal by the service.
type Error struct {
	Status    int    // of HTTP
	Text      string // what the service says, one line
	RequestID string // for its operator's log
}

func (e *Error) Error() string {
	text := e.Text
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Status >= 500 && e.RequestID != "" {
		return fmt.Sprintf("%s (%d, request %s)", text, e.Status, e.RequestID)
	}
	return fmt.Sprintf("%s (%d)", text, e.Status)
}

// ErrNotFound means that no image that the caller may see has the id or name.
var ErrNotFound = errors.New("no such image")

// ErrNoContent means that an image has nothing to download (yet).
var ErrNoContent = errors.New("the image has no content yet")

// ErrDiffers means that bytes are not those that the service says it keeps.
var ErrDiffers = errors.New("content differs from what the service says it keeps")

// Is makes a 404 an ErrNotFound.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound
}

// AmbiguousError means that several images have the name.
type AmbiguousError struct {
	Name   string
	Images []api.Image // some of them, in the order of the service's list
}

func (e *AmbiguousError) Error() string {
	ids := make([]string, len(e.Images))
	for i, m := range e.Images {
		ids[i] = m.ID
	}
	return fmt.Sprintf("several images are named %q, say which by its id: %s", e.Name, strings.Join(ids, ", "))
}

// answered turns gophercloud's error for a refusal into Error.
func answered(err error) error {
	var again *gophercloud.ErrUnableToReauthenticate
	if errors.As(err, &again) {
		err = again.ErrReauth
	}
	var after *gophercloud.ErrErrorAfterReauthentication
	if errors.As(err, &after) {
		err = after.ErrOriginal
	}
	var code gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &code) {
		return refusal(code.Actual, code.ResponseHeader, code.Body)
	}
	return err
}

// refused reads the refusal that an answer holds.
func refused(resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // half a sentence is better than none
	return refusal(resp.StatusCode, resp.Header, body)
}

func refusal(status int, h http.Header, body []byte) *Error {
	e := &Error{Status: status, Text: sentence(body)}
	if h != nil {
		e.RequestID = h.Get("X-Openstack-Request-Id")
	}
	return e
}

var tags = regexp.MustCompile(`(?s)<head>.*?</head>|<h1>.*?</h1>|<[^>]*>`)

// sentence finds what an error's body says: the JSON of kuva, Keystone or
// Glance, or Glance's small HTML page.
func sentence(body []byte) string {
	var j struct {
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text := string(body)
	if json.Unmarshal(body, &j) == nil && j.Message+j.Error.Message != "" {
		text = j.Message
		if text == "" {
			text = j.Error.Message
		}
	}
	text = html.UnescapeString(tags.ReplaceAllString(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	const most = 500 // a proxy's page is no sentence
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return printable(text)
}

// printable drops what could move a terminal's cursor: the text is a
// stranger's.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
