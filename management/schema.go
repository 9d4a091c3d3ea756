package management

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schema is a JSON schema (2020-12, as OpenAPI 3.1 has it).
type schema = map[string]any

// The schema of a field follows from its Go type and from its tags, which hold
// for what is sent to us as well, see [decode]:
//
//	doc:"…"       description
//	max:"64"      most characters of a text, most members of a list
//	min:"1"       fewest
//	enum:"a,b"    the values that there are, of a text or of a list's members
//	optional:"-"  with a body: may be left out (omitempty and pointers may, too)

// schemaOf returns the schema of a type. Named structs go to components.
func schemaOf(t reflect.Type, components map[string]schema) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time", "maxLength": 40}
	case t == reflect.TypeFor[json.RawMessage]():
		return schema{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), components)
	case reflect.Struct:
		name := schemaName(t)
		if _, known := components[name]; !known {
			components[name] = nil // it may refer to itself
			components[name] = structSchema(t, components)
		}
		return schema{"$ref": "#/components/schemas/" + name}
	case reflect.Slice:
		return schema{"type": "array", "items": schemaOf(t.Elem(), components)}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": schemaOf(t.Elem(), components)}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	}
	return schema{} // anything
}

// schemaName names a type: List[Robot] is RobotList.
func schemaName(t reflect.Type) string {
	name, of, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return strings.ToUpper(name[:1]) + name[1:]
	}
	of = strings.TrimSuffix(of, "]")
	return of[strings.LastIndexByte(of, '.')+1:] + name
}

func structSchema(t reflect.Type, components map[string]schema) schema {
	properties, required := schema{}, []string{}
	for _, f := range fieldsOf(t) {
		s := f.constrain(schemaOf(f.kind, components))
		properties[f.name] = s
		if !f.optional {
			required = append(required, f.name)
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// field is a field of a struct as JSON has it.
type field struct {
	name     string
	index    []int
	kind     reflect.Type
	optional bool
	doc      string
	min, max int // 0: none
	enum     []string
	partial  bool // in a merge patch
}

// fieldsOf returns the fields of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var list []field
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || name == "" || !f.IsExported() {
			continue
		}
		n := field{name: name, index: f.Index, kind: f.Type, doc: f.Tag.Get("doc")}
		_, optional := f.Tag.Lookup("optional")
		n.optional = optional || strings.Contains(options, "omit") || f.Type.Kind() == reflect.Pointer
		n.min, _ = strconv.Atoi(f.Tag.Get("min"))
		n.max, _ = strconv.Atoi(f.Tag.Get("max"))
		if e := f.Tag.Get("enum"); e != "" {
			n.enum = strings.Split(e, ",")
		}
		list = append(list, n)
	}
	return list
}

// constrain adds what the tags say to the schema of the field's type.
func (f field) constrain(s schema) schema {
	inner, members := s, f.kind.Kind() == reflect.Slice
	switch kind := f.element(); {
	case members:
		inner, _ = s["items"].(schema)
		bound(s, "minItems", "maxItems", f)
	case kind.Kind() == reflect.String:
		bound(s, "minLength", "maxLength", f)
	case kind.Kind() == reflect.Int || kind.Kind() == reflect.Int64:
		bound(s, "minimum", "maximum", f)
	}
	if len(f.enum) > 0 && inner != nil {
		inner["enum"] = slices.Clone(f.enum)
	}
	if f.doc == "" {
		return s
	}
	if _, ref := s["$ref"]; ref {
		s = schema{"allOf": []schema{s}}
	}
	s["description"] = f.doc
	return s
}

func bound(s schema, least, most string, f field) {
	if f.min != 0 {
		s[least] = f.min
	}
	if f.max != 0 {
		s[most] = f.max
	}
}

// element is the field's type without a pointer.
func (f field) element() reflect.Type {
	if f.kind.Kind() == reflect.Pointer {
		return f.kind.Elem()
	}
	return f.kind
}
