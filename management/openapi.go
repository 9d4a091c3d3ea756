package management

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// document makes the OpenAPI 3.1 document of the routes.
func (a *API) document() ([]byte, error) {
	components := map[string]schema{}
	paths := map[string]map[string]any{}
	for i := range a.routes {
		r := &a.routes[i]
		if paths[r.path] == nil {
			paths[r.path] = map[string]any{}
		}
		paths[r.path][strings.ToLower(r.method)] = a.describe(r, components)
	}
	schemaOf(of[Problem](), components)
	return json.MarshalIndent(map[string]any{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
		"info": map[string]any{
			"title":   "Management of the registry's gateway",
			"version": "1",
			"description": "Errors are problem documents (RFC 9457) with a type that does not change. Changes take If-Match with the ETag of an answer. " +
				"Lists come in pages: ask on with the cursor that next says.",
		},
		"servers":  []any{map[string]any{"url": a.prefix}},
		"paths":    paths,
		"security": []any{map[string]any{"bearer": []string{}}, map[string]any{"basic": []string{}}},
		"components": map[string]any{
			"schemas": components,
			"securitySchemes": map[string]any{
				"bearer": map[string]any{"type": "http", "scheme": "bearer", "description": "A key of this API, an access token, a robot's secret, or a token of the identity provider."},
				"basic":  map[string]any{"type": "http", "scheme": "basic", "description": "The same as the password."},
			},
		},
	}, "", " ")
}

// describe is what the document says of one route.
func (a *API) describe(r *route, components map[string]schema) map[string]any {
	op := map[string]any{
		"operationId": r.id, "summary": r.summary, "tags": []string{r.group},
		"responses": a.responses(r, components),
	}
	if r.open {
		op["security"] = []any{}
	}
	if r.scope != "" {
		op["x-scope"] = string(r.scope)
	}
	if p := r.parameters(); len(p) > 0 {
		op["parameters"] = p
	}
	if r.body != nil {
		body := schemaOf(r.body, components)
		if r.patch {
			body = schema{"type": "object", "description": "A merge patch (RFC 7396) of " + schemaName(r.body) + "."}
		}
		op["requestBody"] = map[string]any{
			"required": !r.bodyOptional,
			"content":  map[string]any{"application/json": map[string]any{"schema": body}},
		}
	}
	return op
}

// parameters are those of path, query and header.
func (r *route) parameters() []any {
	var list []any
	for s := range strings.SplitSeq(r.path, "/") {
		if isVariable(s) {
			list = append(list, map[string]any{
				"name": strings.Trim(s, "{}"), "in": "path", "required": true,
				"schema": schema{"type": "string", "minLength": 1, "maxLength": maxPathValue},
			})
		}
	}
	for _, q := range r.query {
		list = append(list, map[string]any{"name": q.name, "in": "query", "description": q.doc, "schema": q.schema})
	}
	header := func(name, doc string) {
		list = append(list, map[string]any{"name": name, "in": "header", "description": doc, "schema": schema{"type": "string", "maxLength": maxIdempotencyKey}})
	}
	if r.changes() && r.versioned {
		header("If-Match", "The ETag of what you have seen: nothing is done if it has changed since.")
	}
	if r.once {
		header("Idempotency-Key", "A name for this call of your choice: made again within a day, it does nothing and answers the same.")
	}
	return list
}

func (r *route) changes() bool { return r.method != http.MethodGet }

// failures are the codes of failure that a route may answer with.
func (r *route) failures() []Code {
	codes := slices.Clone(r.fails)
	if !r.open {
		codes = append(codes, CodeUnauthenticated)
	}
	if r.scope != "" {
		codes = append(codes, CodeScope)
	}
	if len(r.query) > 0 {
		codes = append(codes, CodeInvalid)
	}
	if r.body != nil {
		codes = append(codes, CodeMalformed, CodeTooLarge, CodeInvalid)
	}
	if r.changes() {
		codes = append(codes, CodeUnavailable, CodeMalformed, CodeUnsupportedMedia, CodeCrossSite, CodeTooEarly)
		if r.versioned && r.takesMatch() {
			codes = append(codes, CodeStale)
		}
	}
	if r.once {
		codes = append(codes, CodeRepeated)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// takesMatch reports whether there can be something that If-Match is about.
func (r *route) takesMatch() bool {
	return isVariable(r.path[strings.LastIndexByte(r.path, '/')+1:]) || strings.Contains(r.path, "{")
}

func (a *API) responses(r *route, components map[string]schema) map[string]any {
	good := map[string]any{"description": http.StatusText(r.status)}
	if r.result != nil {
		good["content"] = map[string]any{"application/json": map[string]any{"schema": schemaOf(r.result, components)}}
	}
	if r.media != "" {
		good["content"] = map[string]any{r.media: map[string]any{"schema": schema{"type": "string"}}}
	}
	if len(r.medias) > 0 {
		content := map[string]any{}
		for _, media := range r.medias {
			content[media] = map[string]any{"schema": schema{}}
		}
		good["content"] = content
	}
	if r.versioned && r.result != nil {
		good["headers"] = map[string]any{"ETag": map[string]any{"schema": schema{"type": "string"}}}
	}
	all := map[string]any{strconv.Itoa(r.status): good}
	if r.created {
		all["201"] = good
	}
	if r.method == http.MethodGet && r.versioned {
		all["304"] = map[string]any{"description": http.StatusText(http.StatusNotModified)}
	}
	byStatus := map[int][]string{}
	for _, c := range r.failures() {
		byStatus[c.Status()] = append(byStatus[c.Status()], string(c))
	}
	for status, codes := range byStatus {
		all[strconv.Itoa(status)] = map[string]any{
			"description": strings.Join(codes, ", "),
			"content": map[string]any{"application/problem+json": map[string]any{
				"schema": schema{"$ref": "#/components/schemas/Problem"},
			}},
		}
	}
	return all
}

// schema is a JSON schema (2020-12, as OpenAPI 3.1 has it).
type schema = map[string]any

// The schema of a field follows from its Go type and from its tags, which hold
// for what is sent to us as well, see [decode]:
//
//	doc:"…"       description
//	max:"64"      most characters of a text, most members of a list
//	min:"1"       fewest
//	enum:"a,b"    the allowed values, of a text or of a list's members
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
