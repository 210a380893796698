package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"kuva"
)

// The limits of a JSON body.
const (
	MaxJSON      = 1 << 20 // bytes
	MaxJSONDepth = 32      // arrays and objects inside each other
)

// Fields says what ReadJSON makes of members that the target lacks.
type Fields int

// The ways to treat unknown members.
const (
	KnownFields Fields = iota // refuse them, with their name
	AnyFields                 // ignore them
)

// ReadJSON reads the body of r, one JSON value of at most MaxJSON bytes and
// MaxJSONDepth levels, into v. Its errors never repeat a value of the body,
// not even in their cause: it could be a password.
func ReadJSON(r *http.Request, v any, fields Fields) error {
	body, err := ReadBody(r)
	if err != nil {
		return err
	}
	return DecodeJSON(body, v, fields)
}

// ReadBody reads a body of at most MaxJSON bytes that arrives within
// BodyWithin.
func ReadBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxJSON {
		return nil, kuva.E(kuva.CodeTooLarge, "rest.json_large", "limit", MaxJSON)
	}
	done := hurry(r)
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxJSON+1))
	done(err)
	if err != nil {
		return nil, kuva.E(kuva.CodeInvalid, "rest.body_broken").Because(err)
	}
	if len(body) > MaxJSON {
		return nil, kuva.E(kuva.CodeTooLarge, "rest.json_large", "limit", MaxJSON)
	}
	return body, nil
}

// NoBody refuses a body on a call that takes none, as the Image API v2 does.
func NoBody(r *http.Request) error {
	var one [1]byte
	done := hurry(r)
	n, err := r.Body.Read(one[:])
	done(err)
	if n > 0 || r.ContentLength > 0 {
		return kuva.E(kuva.CodeInvalid, "rest.no_body")
	}
	return nil
}

// DecodeJSON is ReadJSON for bytes that are there already.
func DecodeJSON(body []byte, v any, fields Fields) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return kuva.E(kuva.CodeInvalid, "rest.json_empty")
	}
	if tooDeep(body) {
		return kuva.E(kuva.CodeInvalid, "rest.json_deep", "limit", MaxJSONDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if fields == KnownFields {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return kuva.E(kuva.CodeInvalid, "rest.json_trailing")
	}
	return nil
}

// jsonError says where the body is wrong, never what stands there.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return kuva.E(kuva.CodeInvalid, "rest.json_type", "field", kind.Field)
	case errors.As(err, &syntax):
		return kuva.E(kuva.CodeInvalid, "rest.json_syntax", "offset", syntax.Offset)
	}
	if _, field, ok := strings.Cut(err.Error(), "json: unknown field "); ok && len(field) <= 66 {
		return kuva.E(kuva.CodeInvalid, "rest.json_unknown", "field", strings.Trim(field, `"`))
	}
	return kuva.E(kuva.CodeInvalid, "rest.json_wrong")
}

// tooDeep counts brackets outside strings. It runs before the decoder, whose
// own limit of 10,000 levels is far beyond what any call needs.
func tooDeep(body []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxJSONDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
