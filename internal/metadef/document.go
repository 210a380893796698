package metadef

import (
	"encoding/json"
	"strconv"

	"kuva"
)

// Namespace is a namespace as the API has it. Self, Schema and the times are of
// answers; what a caller puts there is ignored.
type Namespace struct {
	Namespace    string              `json:"namespace"`
	DisplayName  string              `json:"display_name,omitempty"`
	Description  string              `json:"description,omitempty"`
	Visibility   string              `json:"visibility,omitempty"` // public or private, which is the default
	Protected    bool                `json:"protected"`
	Owner        string              `json:"owner,omitempty"` // a project; the caller's by default
	CreatedAt    string              `json:"created_at,omitempty"`
	UpdatedAt    string              `json:"updated_at,omitempty"`
	Associations []Association       `json:"resource_type_associations,omitempty"`
	Properties   map[string]Property `json:"properties,omitempty"`
	Objects      []Object            `json:"objects,omitempty"`
	Tags         []Tag               `json:"tags,omitempty"`
	Self         string              `json:"self,omitempty"`
	Schema       string              `json:"schema,omitempty"`
}

// Object is a set of properties that belong together.
type Object struct {
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Required    []string            `json:"required,omitzero"`
	Properties  map[string]Property `json:"properties,omitempty"`
	CreatedAt   string              `json:"created_at,omitempty"`
	UpdatedAt   string              `json:"updated_at,omitempty"`
	Self        string              `json:"self,omitempty"`
	Schema      string              `json:"schema,omitempty"`
}

// Property says of one property which values it may have, in words of JSON
// schema. Inside a map its name is the key.
type Property struct {
	Name            string   `json:"name,omitempty"`
	Type            string   `json:"type"`
	Title           string   `json:"title"`
	Description     *string  `json:"description,omitempty"`
	Operators       []string `json:"operators,omitzero"` // that a scheduler understands, such as <or>
	Required        []string `json:"required,omitzero"`
	Default         *Text    `json:"default,omitempty"`
	ReadOnly        *bool    `json:"readonly,omitempty"`
	Minimum         *float64 `json:"minimum,omitempty"`
	Maximum         *float64 `json:"maximum,omitempty"`
	Enum            []Text   `json:"enum,omitzero"`
	Pattern         *string  `json:"pattern,omitempty"`
	MinLength       *int64   `json:"minLength,omitempty"`
	MaxLength       *int64   `json:"maxLength,omitempty"`
	Confidential    *bool    `json:"confidential,omitempty"`
	Items           *Items   `json:"items,omitempty"`
	UniqueItems     *bool    `json:"uniqueItems,omitempty"`
	MinItems        *int64   `json:"minItems,omitempty"`
	MaxItems        *int64   `json:"maxItems,omitempty"`
	AdditionalItems *bool    `json:"additionalItems,omitempty"`
}

// Items says what the values of an array may be.
type Items struct {
	Type string `json:"type,omitempty"`
	Enum []Text `json:"enum,omitzero"`
}

// Text is a scalar that is answered as text, whatever it came as: 8 becomes
// "8" and true "True", as the reference has it.
type Text string

// UnmarshalJSON takes strings, numbers and truth values.
func (t *Text) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*t = Text(v)
	case bool:
		*t = "False"
		if v {
			*t = "True"
		}
	case float64:
		*t = Text(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return &json.UnmarshalTypeError{Value: "array or object", Field: "default"}
	}
	return nil
}

// Tag is a word that images may bear.
type Tag struct {
	Name      string `json:"name"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

// Association says that a namespace is about a kind of resource, and what its
// properties' names begin with there.
type Association struct {
	Name      string `json:"name"`
	Prefix    string `json:"prefix,omitempty"`
	Target    string `json:"properties_target,omitempty"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

// ResourceType is a kind of resource that namespaces were associated with.
type ResourceType struct {
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// Limits of a namespace. Names count in characters.
const (
	MaxName        = 80 // also of titles' namespaces, prefixes and targets
	MaxDescription = 500
	MaxOwner       = 255
	MaxItems       = 1000     // of each kind in one namespace
	MaxBytes       = 2 << 20  // of all that is in one namespace, as JSON
	MaxPage        = 1000     // namespaces of one page
	maxTypes       = 10_000   // resource types that are listed
	maxPropertySum = 64 << 10 // of one object or property, as JSON
)

// The visibilities of a namespace.
const (
	Public  = "public"
	Private = "private"
)

func bad(field string) error { return kuva.E(kuva.CodeInvalid, "metadef.bad_field", "field", field) }
