package rest

import (
	"net/http"
	"strconv"
	"strings"

	"kuva"
)

// Span is the part of a file that a download asks for, N bytes from Off.
type Span struct {
	Off, N int64
	Part   bool // the caller named a range: 206
}

func (s Span) status() int {
	if s.Part {
		return http.StatusPartialContent
	}
	return http.StatusOK
}

// contentRange is the value of the answer's Content-Range.
func (s Span) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.Off, 10) + "-" + strconv.FormatInt(s.Off+s.N-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// ParseSpan reads the Range of a request for content of size bytes. One range
// only; several are CodeInvalid, because nobody needs them and they cost a
// server dearly. What is malformed or begins beyond the end is CodeRange. A
// request may also carry Content-Range, which old clients use instead.
func ParseSpan(header http.Header, size int64) (Span, error) {
	ranges := header.Values("Range")
	if len(ranges) > 1 || len(ranges) == 1 && strings.Contains(ranges[0], ",") {
		return Span{}, kuva.E(kuva.CodeInvalid, "rest.several_ranges")
	}
	if len(ranges) == 1 {
		return parseRange(ranges[0], size)
	}
	if value := header.Get("Content-Range"); value != "" {
		return parseContentRange(value, size)
	}
	return Span{N: size}, nil
}

func badRange(size int64) error {
	return kuva.E(kuva.CodeRange, "rest.range", "size", size)
}

// parseRange reads bytes=FIRST-LAST, bytes=FIRST- and bytes=-COUNT.
func parseRange(value string, size int64) (Span, error) {
	value, ok := cutUnit(value, "=")
	if !ok {
		return Span{}, badRange(size)
	}
	from, to, ok := strings.Cut(value, "-")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !ok || !Digits(from) && from != "" || !Digits(to) && to != "" {
		return Span{}, badRange(size)
	}
	if from == "" {
		count := min(Number(to), size)
		if to == "" || count == 0 {
			return Span{}, badRange(size)
		}
		return Span{Off: size - count, N: count, Part: true}, nil
	}
	first, last := Number(from), size-1
	if to != "" {
		if Number(to) < first {
			return Span{}, badRange(size)
		}
		last = min(Number(to), last)
	}
	if first >= size {
		return Span{}, badRange(size)
	}
	return Span{Off: first, N: last - first + 1, Part: true}, nil
}

// parseContentRange reads "bytes FIRST-LAST/SIZE" and "bytes FIRST-LAST/*".
// Other than in a Range, LAST must lie inside the content.
func parseContentRange(value string, size int64) (Span, error) {
	value, ok := cutUnit(value, " ")
	if !ok {
		return Span{}, badRange(size)
	}
	value, total, ok := strings.Cut(value, "/")
	if !ok || total != "*" && (!Digits(total) || Number(total) != size) {
		return Span{}, badRange(size)
	}
	from, to, ok := strings.Cut(value, "-")
	if !ok || !Digits(from) || !Digits(to) {
		return Span{}, badRange(size)
	}
	first, last := Number(from), Number(to)
	if last < first || last >= size {
		return Span{}, badRange(size)
	}
	return Span{Off: first, N: last - first + 1, Part: true}, nil
}

func cutUnit(value, separator string) (string, bool) {
	unit, rest, ok := strings.Cut(strings.TrimSpace(value), separator)
	return strings.TrimSpace(rest), ok && strings.EqualFold(strings.TrimSpace(unit), "bytes")
}

// Digits reports whether s is one or more of 0 to 9.
func Digits(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Number reads digits; what is too large for a size is the largest there is.
func Number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1
	}
	return n
}
