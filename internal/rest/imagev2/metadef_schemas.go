package imagev2

import "kuva/internal/metadef"

// Schemas of metadata definitions, with the names, types and readOnly marks of
// the reference. Clients check by them what they send.

func limited(description string, most int) object {
	o := object{"type": "string", "maxLength": most}
	if description != "" {
		o["description"] = description
	}
	return o
}

func dateTime(description string) object {
	return object{"type": "string", "readOnly": true, "format": "date-time", "description": description}
}

var (
	mdTypes = []any{"array", "boolean", "integer", "number", "object", "string", nil}
	mdText  = object{"type": "string"}
	mdLink  = object{"type": "string", "readOnly": true}
)

func ref(definition string) object { return object{"$ref": "#/definitions/" + definition} }

// mdDefinitions are what the schemas refer to.
func mdDefinitions() object {
	return object{
		"positiveInteger":         object{"type": "integer", "minimum": 0},
		"positiveIntegerDefault0": object{"allOf": []any{ref("positiveInteger"), object{"default": 0}}},
		"stringArray":             object{"type": "array", "items": mdText, "uniqueItems": true},
		"property": object{"type": "object", "additionalProperties": object{
			"type": "object", "required": []string{"title", "type"}, "properties": mdPropertyFields(),
		}},
	}
}

func mdPropertyFields() object {
	return object{
		"name":            limited("", metadef.MaxName),
		"title":           mdText,
		"description":     mdText,
		"operators":       object{"type": "array", "items": mdText},
		"type":            object{"type": "string", "enum": mdTypes},
		"required":        ref("stringArray"),
		"minimum":         object{"type": "number"},
		"maximum":         object{"type": "number"},
		"maxLength":       ref("positiveInteger"),
		"minLength":       ref("positiveIntegerDefault0"),
		"pattern":         object{"type": "string", "format": "regex"},
		"enum":            object{"type": "array"},
		"readonly":        object{"type": "boolean"},
		"default":         object{},
		"items":           object{"type": "object", "properties": object{"type": object{"type": "string", "enum": mdTypes}, "enum": object{"type": "array"}}},
		"maxItems":        ref("positiveInteger"),
		"minItems":        ref("positiveIntegerDefault0"),
		"uniqueItems":     object{"type": "boolean", "default": false},
		"additionalItems": object{"type": "boolean"},
	}
}

func mdNamespaceSchema(_, _ []string) object {
	return object{
		"name": "namespace", "additionalProperties": false, "required": []string{"namespace"}, "definitions": mdDefinitions(),
		"properties": object{
			"namespace":    limited("The name of the namespace, which no other one has.", metadef.MaxName),
			"display_name": limited("What people read in place of the name.", metadef.MaxName),
			"description":  limited("What the namespace is for.", metadef.MaxDescription),
			"visibility":   object{"type": "string", "enum": []string{metadef.Public, metadef.Private}, "description": "Who sees the namespace."},
			"protected":    object{"type": "boolean", "description": "Whether the namespace is kept from being deleted."},
			"owner":        limited("The project that owns the namespace.", metadef.MaxOwner),
			"created_at":   dateTime("When the namespace was made"),
			"updated_at":   dateTime("When the namespace was changed last"),
			"schema":       mdLink,
			"self":         mdLink,
			"resource_type_associations": object{"type": "array", "items": object{"type": "object", "properties": object{
				"name": mdText, "prefix": mdText, "properties_target": mdText,
			}}},
			"properties": ref("property"),
			"objects": object{"type": "array", "items": object{"type": "object", "properties": object{
				"name": mdText, "description": mdText, "required": ref("stringArray"), "properties": ref("property"),
			}}},
			"tags": object{"type": "array", "items": object{"type": "object", "properties": object{"name": mdText}}},
		},
	}
}

func mdObjectSchema(_, _ []string) object {
	return object{
		"name": "object", "additionalProperties": false, "required": []string{"name"}, "definitions": mdDefinitions(),
		"properties": object{
			"name":        limited("", metadef.MaxName),
			"description": mdText,
			"required":    ref("stringArray"),
			"properties":  ref("property"),
			"schema":      mdLink,
			"self":        mdLink,
			"created_at":  dateTime("When the object was made"),
			"updated_at":  dateTime("When the object was changed last"),
		},
	}
}

func mdPropertySchema(_, _ []string) object {
	definitions := mdDefinitions()
	delete(definitions, "property")
	return object{
		"name": "property", "additionalProperties": false, "required": []string{"type", "title", "name"},
		"definitions": definitions, "properties": mdPropertyFields(),
	}
}

func mdTagSchema(_, _ []string) object {
	return object{
		"name": "tag", "additionalProperties": false, "required": []string{"name"},
		"properties": object{
			"name":       limited("", metadef.MaxName),
			"created_at": dateTime("When the tag was made"),
			"updated_at": dateTime("When the tag was changed last"),
		},
	}
}

func mdAssociationSchema(_, _ []string) object {
	return object{
		"name": "resource_type_association", "additionalProperties": false, "required": []string{"name"},
		"properties": object{
			"name":              limited("The kind of resource, by the name that the orchestration service has for it where it has one.", metadef.MaxName),
			"prefix":            limited("What the names of the properties begin with on this kind of resource, its separator included.", metadef.MaxName),
			"properties_target": limited("Which of several sets of properties of the resource is meant, such as the image's of a volume.", metadef.MaxName),
			"created_at":        dateTime("When the association was made"),
			"updated_at":        dateTime("When the association was changed last"),
		},
	}
}

// mdListOf is the schema of a list, with the definitions of one at its root,
// where references look for them.
func mdListOf(name string, items object, list func(items object) object) object {
	out := object{
		"name": name,
		"properties": object{
			name: list(items), "first": mdText, "next": mdText, "schema": mdText,
		},
		"links": []object{
			{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"},
		},
	}
	if d, ok := items["definitions"]; ok {
		out["definitions"] = d
		delete(items, "definitions")
	}
	return out
}

func mdCollection(name string, one func(_, _ []string) object) func(_, _ []string) object {
	return func(disk, container []string) object {
		return mdListOf(name, one(disk, container), func(items object) object { return object{"type": "array", "items": items} })
	}
}

func mdPropertiesSchema(disk, container []string) object {
	one := mdPropertySchema(disk, container)
	one["required"] = []string{"type", "title"}
	return mdListOf("properties", one, func(items object) object {
		return object{"type": "object", "additionalProperties": items}
	})
}
