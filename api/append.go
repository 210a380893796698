package api

import (
	"encoding/json"
	"strconv"
)

// Appender is JSON that writes itself. Lists of images are most of what the
// service sends; by reflection they cost more than the queries behind them.
type Appender interface {
	// AppendJSON appends the value to b.
	AppendJSON(b []byte) []byte
}

// object appends the members of a JSON object.
type object struct {
	b     []byte
	comma bool
}

func (o *object) name(name string) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = append(appendText(o.b, name), ':')
}

func (o *object) text(name, value string) {
	o.name(name)
	o.b = appendText(o.b, value)
}

// textOrNull writes "" as null.
func (o *object) textOrNull(name, value string) {
	o.name(name)
	if value == "" {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = appendText(o.b, value)
}

func (o *object) number(name string, value int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, value, 10)
}

// numberOrNull writes numbers below 0 as null.
func (o *object) numberOrNull(name string, value int64) {
	if value >= 0 {
		o.number(name, value)
		return
	}
	o.name(name)
	o.b = append(o.b, "null"...)
}

func (o *object) bool(name string, value bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, value)
}

// appendText appends a JSON string, as encoding/json writes it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // strings always marshal
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
