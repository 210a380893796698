package imagev2

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// DefaultPage is how many images a page has where the caller names no limit.
const DefaultPage = 25

// parameter is one name=value of a query, in the order in which it came.
type parameter struct{ name, value string }

// parseParameters takes a query apart. The names and values are valid text
// without NUL, which no database takes.
func parseParameters(raw string) ([]parameter, error) {
	if strings.Count(raw, "&") >= rest.MaxParameters {
		return nil, kuva.E(kuva.CodeInvalid, "rest.too_many_parameters", "limit", rest.MaxParameters)
	}
	var out []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !isText(name) || !isText(value) {
			return nil, kuva.E(kuva.CodeInvalid, "imagev2.query_text")
		}
		out = append(out, parameter{name, value})
	}
	return out, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// parseQuery makes the question to the use cases of the parameters of
// GET /v2/images. Whatever it does not know by name is a filter on the extra
// property of that name.
func parseQuery(params []parameter) (images.Query, error) {
	q := images.Query{Limit: DefaultPage, Min: map[string]int64{}, Max: map[string]int64{}, Properties: map[string]string{}}
	var s sorting
	for _, p := range params {
		if err := parseOne(&q, &s, p.name, p.value); err != nil {
			return q, err
		}
	}
	var err error
	q.Sort, err = s.keys()
	return q, err
}

func bad(name, value string) error {
	return kuva.E(kuva.CodeInvalid, "imagev2.parameter", "name", clip(name), "value", clip(value))
}

func parseOne(q *images.Query, s *sorting, name, value string) (err error) {
	switch name {
	case "limit":
		q.Limit, err = parseLimit(value)
	case "marker":
		q.Marker = value
	case "sort", "sort_key", "sort_dir":
		s.add(name, value)
	case "name":
		q.Name, err = anyOf(name, value)
	case "id":
		q.ID, err = anyOf(name, value)
	case "status":
		q.Status, err = anyOf(name, value)
	case "container_format":
		q.ContainerFormat, err = anyOf(name, value)
	case "disk_format":
		q.DiskFormat, err = anyOf(name, value)
	case "created_at":
		err = addTime(&q.Created, name, value)
	case "updated_at":
		err = addTime(&q.Updated, name, value)
	case "tag":
		q.Tags = append(q.Tags, strings.TrimSpace(value))
	case "visibility":
		q.Visibility, err = oneOf(name, value, "", "public", "private", "shared", "community", "all")
	case "member_status":
		q.MemberStatus, err = oneOf(name, value, "accepted", "pending", "rejected", "all")
	case "owner":
		q.Owner = value
	case "checksum":
		q.Checksum = value
	case "os_hash_value":
		q.HashValue = value
	case "protected":
		yes, e := boolean(name, value)
		q.Protected, err = &yes, e
	case "os_hidden":
		// openstackclient sends "True" here, and the reference takes it.
		q.Hidden, err = boolean(name, strings.ToLower(value))
	case "changes-since":
		err = kuva.E(kuva.CodeInvalid, "imagev2.changes_since")
	case "deleted":
		// Deleted images are never listed, whatever is asked for.
	default:
		err = addNumberOrProperty(q, name, value)
	}
	return err
}

func parseLimit(value string) (int, error) {
	value = strings.TrimSpace(value)
	if !rest.Digits(value) {
		return 0, bad("limit", value)
	}
	return int(min(rest.Number(value), images.MaxPage)), nil
}

func oneOf(name, value string, allowed ...string) (string, error) {
	if !slices.Contains(allowed, value) {
		return "", bad(name, value)
	}
	return value, nil
}

func boolean(name, value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, bad(name, value)
	}
	return value == "true", nil
}

// addNumberOrProperty takes size, min_ram and their like, with _min and _max
// for a bound, as numbers. All other names are those of extra properties.
func addNumberOrProperty(q *images.Query, name, value string) error {
	column, isMin := strings.CutSuffix(name, "_min")
	column, isMax := strings.CutSuffix(column, "_max")
	switch column {
	case "size", "virtual_size", "min_ram", "min_disk":
	default:
		q.Properties[name] = value
		return nil
	}
	if isMin && isMax {
		q.Properties[name] = value
		return nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return bad(name, value)
	}
	if !isMax {
		if old, ok := q.Min[column]; !ok || n > old {
			q.Min[column] = n
		}
	}
	if !isMin {
		if old, ok := q.Max[column]; !ok || n < old {
			q.Max[column] = n
		}
	}
	return nil
}

// operator splits OPERATOR:VALUE; a time on its own, which has colons too, and
// a value without a colon are "eq".
func operator(value string) (op, operand string) {
	left, right, ok := strings.Cut(value, ":")
	if !ok {
		return "eq", value
	}
	if _, err := parseTime(value); err == nil {
		return "eq", value
	}
	return left, right
}

// anyOf reads VALUE, eq:VALUE and in:VALUE,VALUE.
func anyOf(name, value string) ([]string, error) {
	op, operand := operator(value)
	switch op {
	case "eq":
		return []string{operand}, nil
	case "in":
		list, ok := splitQuoted(operand)
		if !ok {
			return nil, bad(name, value)
		}
		return list, nil
	}
	return nil, kuva.E(kuva.CodeInvalid, "imagev2.operator", "name", name, "operator", clip(op))
}

// maxValues bounds the values of one in: filter; the database takes each as
// an argument.
const maxValues = 1000

// splitQuoted splits at commas. A value that holds one stands in double
// quotes; inside them a backslash keeps the next character from its meaning.
func splitQuoted(s string) ([]string, bool) {
	var out []string
	for len(out) < maxValues {
		if !strings.HasPrefix(s, `"`) {
			value, rest, more := strings.Cut(s, ",")
			if strings.Contains(value, `"`) {
				return nil, false // a quotation mark inside a value
			}
			if out = append(out, value); !more {
				return out, true
			}
			s = rest
			continue
		}
		value, rest, ok := quoted(s[1:])
		if !ok {
			return nil, false
		}
		if out = append(out, value); rest == "" {
			return out, true
		}
		if s, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, false
		}
	}
	return nil, false
}

func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// timeOperators are the comparisons of created_at and updated_at.
var timeOperators = []string{"gt", "gte", "eq", "neq", "lt", "lte"}

func addTime(to *[]images.TimeFilter, name, value string) error {
	op, operand := operator(value)
	if !slices.Contains(timeOperators, op) {
		return kuva.E(kuva.CodeInvalid, "imagev2.operator", "name", name, "operator", clip(op))
	}
	at, err := parseTime(operand)
	if err != nil {
		return bad(name, value)
	}
	*to = append(*to, images.TimeFilter{Op: op, At: at})
	return nil
}

// timeLayouts are the forms of ISO 8601 that clients use. A time without a
// zone is UTC.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "20060102T150405Z0700", "20060102T150405", time.DateOnly,
}

func parseTime(s string) (time.Time, error) {
	var err error
	for _, layout := range timeLayouts {
		var at time.Time
		if at, err = time.Parse(layout, s); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, err
}
