package management

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// The contract is the OpenAPI document. Every answer that any test of this
// package sees is held to it, and when all tests have run, every status that
// it names must have been seen.
var contract struct {
	sync.Mutex
	documented map[string]bool // "operation status"
	seen       map[string]bool
}

// TestMain asks after the tests whether the document says too much.
func TestMain(m *testing.M) {
	code := m.Run()
	if all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""; all && code == 0 {
		var missing []string
		for name := range contract.documented {
			if !contract.seen[name] {
				missing = append(missing, name)
			}
		}
		if slices.Sort(missing); len(missing) > 0 {
			fmt.Println("the OpenAPI document names answers that no test has seen:\n\t" + strings.Join(missing, "\n\t"))
			code = 1
		}
	}
	os.Exit(code)
}

// conforms holds an answer to the document.
func (s *stage) conforms(method, path string, got seen) {
	s.t.Helper()
	if strings.HasPrefix(path, HarborPrefix) {
		return
	}
	if got.header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("%s %s: Cache-Control %q", method, path, got.header.Get("Cache-Control"))
	}
	var doc struct {
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(s.api.openapi, &doc); err != nil {
		s.t.Fatal(err)
	}
	contract.Lock()
	defer contract.Unlock()
	if contract.documented == nil {
		contract.documented, contract.seen = map[string]bool{}, map[string]bool{}
		for _, methods := range doc.Paths {
			for _, op := range methods {
				for status := range op["responses"].(map[string]any) {
					contract.documented[fmt.Sprint(op["operationId"], " ", status)] = true
				}
			}
		}
	}
	at, _ := s.api.router.find(path)
	lookup := method
	if method == http.MethodHead {
		lookup = http.MethodGet
	}
	if at == nil || at.methods[lookup] == nil {
		if got.status < 400 && method != http.MethodOptions {
			s.t.Errorf("%s %s: %d is not documented", method, path, got.status)
		}
		return
	}
	op := doc.Paths[at.methods[lookup].path][strings.ToLower(lookup)]
	name := fmt.Sprint(op["operationId"], " ", got.status)
	contract.seen[name] = true
	response, ok := op["responses"].(map[string]any)[strconv.Itoa(got.status)].(map[string]any)
	if !ok {
		s.t.Errorf("%s is not documented: %s", name, got.body)
		return
	}
	content, _ := response["content"].(map[string]any)
	if content == nil || method == http.MethodHead {
		if len(got.body) > 0 {
			s.t.Errorf("%s: has a body: %s", name, got.body)
		}
		return
	}
	media := got.header.Get("Content-Type")
	described, ok := content[media].(map[string]any)
	if !ok {
		s.t.Errorf("%s: Content-Type %q is not documented", name, media)
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	var value any
	if err := json.Unmarshal(got.body, &value); err != nil {
		s.t.Errorf("%s: %v", name, err)
		return
	}
	v := validator{doc.Components.Schemas}
	for _, wrong := range v.check("", described["schema"].(map[string]any), value) {
		s.t.Errorf("%s: %s: %s", name, wrong, got.body)
	}
}

// validator checks the part of JSON schema that the document uses.
type validator struct{ schemas map[string]any }

// keywords are those that are checked, or say nothing.
var keywords = []string{
	"$ref", "allOf", "type", "properties", "required", "additionalProperties", "items", "enum", "format",
	"minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "description", "default", "pattern",
}

func (v validator) check(path string, s map[string]any, value any) (wrong []string) {
	fail := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	for k := range s {
		if !slices.Contains(keywords, k) {
			fail("the schema has %s, which is not checked", k)
		}
	}
	if ref, ok := s["$ref"].(string); ok {
		target, known := v.schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
		if !known {
			fail("%s is not there", ref)
			return wrong
		}
		return append(wrong, v.check(path, target, value)...)
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, one := range all {
			wrong = append(wrong, v.check(path, one.(map[string]any), value)...)
		}
	}
	if t, ok := s["type"].(string); ok && t != jsonType(value) && (t != "number" || jsonType(value) != "integer") {
		fail("is %s, want %s", jsonType(value), t)
		return wrong
	}
	if list, ok := s["enum"].([]any); ok && !slices.ContainsFunc(list, func(e any) bool { return reflect.DeepEqual(e, value) }) {
		fail("%v is none of %v", value, list)
	}
	within := func(least, most string, n float64) {
		if limit, ok := s[least].(float64); ok && n < limit {
			fail("%v is below %s %v", n, least, limit)
		}
		if limit, ok := s[most].(float64); ok && n > limit {
			fail("%v is above %s %v", n, most, limit)
		}
	}
	switch x := value.(type) {
	case string:
		within("minLength", "maxLength", float64(utf8.RuneCountInString(x)))
		if s["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, x); err != nil {
				fail("%q is no date-time", x)
			}
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(x) {
			fail("%q does not match %s", x, p)
		}
	case float64:
		within("minimum", "maximum", x)
	case []any:
		within("minItems", "maxItems", float64(len(x)))
		if items, ok := s["items"].(map[string]any); ok {
			for i, e := range x {
				wrong = append(wrong, v.check(fmt.Sprintf("%s[%d]", path, i), items, e)...)
			}
		}
	case map[string]any:
		wrong = append(wrong, v.object(path, s, x)...)
	}
	return wrong
}

func (v validator) object(path string, s, x map[string]any) (wrong []string) {
	required, _ := s["required"].([]any)
	for _, r := range required {
		if _, ok := x[r.(string)]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s.%s is missing", path, r))
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(x)) {
		p, ok := properties[name].(map[string]any)
		if !ok {
			if more, ok := s["additionalProperties"].(map[string]any); ok {
				wrong = append(wrong, v.check(path+"."+name, more, x[name])...)
			} else if s["additionalProperties"] == false {
				wrong = append(wrong, fmt.Sprintf("%s.%s is not in the schema", path, name))
			}
			continue
		}
		wrong = append(wrong, v.check(path+"."+name, p, x[name])...)
	}
	return wrong
}

func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// TestDocumented wants every operation, every scope and every code of
// docs/management.md: a problem's type leads there.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/management.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for code, m := range meanings {
		if !strings.Contains(page, "\n### "+string(code)+"\n") || m.title == "" {
			t.Errorf("code %s is not documented", code)
		}
	}
	s := newStage(t)
	for _, r := range s.api.routes {
		if !strings.Contains(page, "| `"+r.method+" "+r.path+"` |") {
			t.Errorf("%s %s is not documented", r.method, r.path)
		}
	}
	for _, scope := range Scopes {
		resource, _, _ := strings.Cut(string(scope), ":")
		if !strings.Contains(page, "`"+resource) {
			t.Errorf("scope %s is not documented", scope)
		}
	}
}
