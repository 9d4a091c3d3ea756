package management

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
