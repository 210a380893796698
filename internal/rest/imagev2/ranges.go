package imagev2

import (
	"net/http"
	"strconv"
	"strings"

	"kuva"
)

// span is the part of the content that a download asks for.
type span struct {
	off, n int64
	part   bool // the caller named a range: 206
}

// contentRange is the value of the answer's Content-Range.
func (s span) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.off+s.n-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// parseSpan reads the Range of a request for content of size bytes. One range
// only; several are CodeInvalid, because nobody needs them and they cost a
// server dearly. What is malformed or begins beyond the end is CodeRange. A
// request may also carry Content-Range, which old clients use instead.
func parseSpan(header http.Header, size int64) (span, error) {
	ranges := header.Values("Range")
	if len(ranges) > 1 || len(ranges) == 1 && strings.Contains(ranges[0], ",") {
		return span{}, kuva.E(kuva.CodeInvalid, "imagev2.several_ranges")
	}
	if len(ranges) == 1 {
		return parseRange(ranges[0], size)
	}
	if value := header.Get("Content-Range"); value != "" {
		return parseContentRange(value, size)
	}
	return span{n: size}, nil
}

func badRange(size int64) error {
	return kuva.E(kuva.CodeRange, "imagev2.range", "size", size)
}

// parseRange reads bytes=FIRST-LAST, bytes=FIRST- and bytes=-COUNT.
func parseRange(value string, size int64) (span, error) {
	value, ok := cutUnit(value, "=")
	if !ok {
		return span{}, badRange(size)
	}
	from, to, ok := strings.Cut(value, "-")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !ok || !digits(from) && from != "" || !digits(to) && to != "" {
		return span{}, badRange(size)
	}
	if from == "" {
		count := min(number(to), size)
		if to == "" || count == 0 {
			return span{}, badRange(size)
		}
		return span{off: size - count, n: count, part: true}, nil
	}
	first, last := number(from), size-1
	if to != "" {
		if number(to) < first {
			return span{}, badRange(size)
		}
		last = min(number(to), last)
	}
	if first >= size {
		return span{}, badRange(size)
	}
	return span{off: first, n: last - first + 1, part: true}, nil
}

// parseContentRange reads "bytes FIRST-LAST/SIZE" and "bytes FIRST-LAST/*".
// Other than in a Range, LAST must lie inside the content.
func parseContentRange(value string, size int64) (span, error) {
	value, ok := cutUnit(value, " ")
	if !ok {
		return span{}, badRange(size)
	}
	value, total, ok := strings.Cut(value, "/")
	if !ok || total != "*" && (!digits(total) || number(total) != size) {
		return span{}, badRange(size)
	}
	from, to, ok := strings.Cut(value, "-")
	if !ok || !digits(from) || !digits(to) {
		return span{}, badRange(size)
	}
	first, last := number(from), number(to)
	if last < first || last >= size {
		return span{}, badRange(size)
	}
	return span{off: first, n: last - first + 1, part: true}, nil
}

func cutUnit(value, separator string) (string, bool) {
	unit, rest, ok := strings.Cut(strings.TrimSpace(value), separator)
	return strings.TrimSpace(rest), ok && strings.EqualFold(strings.TrimSpace(unit), "bytes")
}

func digits(s string) bool {
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

// number reads digits; what is too large for a size is the largest there is.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1
	}
	return n
}
