package management

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// decode reads a body into a struct. Unlike encoding/json alone it refuses by
// name what it does not know, what is given twice, and what is spelled in
// another case; and it holds every field to its tags, see schema.go. Of a
// partial body, a merge patch, everything may be missing or null.
func decode(body []byte, into any, partial bool) error {
	if !utf8.Valid(body) {
		return fail(CodeMalformed, "the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	tree, err := readValue(d, 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("something follows it")
		}
	}
	if err != nil {
		return fail(CodeMalformed, "the body is not one JSON object: %v", err)
	}
	if _, isObject := tree.(object); !isObject {
		return fail(CodeMalformed, "the body is not a JSON object")
	}
	var wrong problems
	target := reflect.TypeOf(into).Elem()
	checkValue(&wrong, "", tree, target, field{partial: partial})
	if err := wrong.err(); err != nil {
		return err
	}
	if partial {
		return nil // it is read once it is merged
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fail(CodeMalformed, "the body cannot be read: %v", err)
	}
	return nil
}

// object is a JSON object with its members in their order.
type object []member

type member struct {
	name  string
	value any
}

// maxDepth is how deep values may be nested.
const maxDepth = 16

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			text, _ := name.(string)
			o = append(o, member{text, value})
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// checkValue holds a value to a type and to the tags of the field it is in.
func checkValue(wrong *problems, path string, value any, t reflect.Type, f field) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil {
		if !f.optional && !f.partial && path != "" {
			wrong.add(path, "must not be null")
		}
		return
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return
	}
	switch v := value.(type) {
	case object:
		switch {
		case t.Kind() == reflect.Struct && !isTime(t):
			checkObject(wrong, path, v, t, f.partial)
		case t.Kind() == reflect.Map:
			checkMap(wrong, path, v, t, f)
		default:
			wrong.add(path, "want %s", typeName(t))
		}
	case []any:
		if t.Kind() != reflect.Slice {
			wrong.add(path, "want %s", typeName(t))
			return
		}
		checkBounds(wrong, path, len(v), "members", f)
		for i, e := range v {
			checkValue(wrong, at(path, i), e, t.Elem(), field{enum: f.enum})
		}
	case string:
		checkText(wrong, path, v, t, f)
	case bool:
		if t.Kind() != reflect.Bool {
			wrong.add(path, "want %s", typeName(t))
		}
	case json.Number:
		n, err := v.Int64()
		if err != nil || t.Kind() != reflect.Int && t.Kind() != reflect.Int64 {
			wrong.add(path, "want %s", typeName(t))
			return
		}
		if n < int64(f.min) || f.max != 0 && n > int64(f.max) {
			wrong.add(path, "want a number from %d to %d", f.min, f.max)
		}
	}
}

func checkObject(wrong *problems, path string, o object, t reflect.Type, partial bool) {
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for _, m := range o {
		inner := join(path, m.name)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == m.name })
		switch {
		case i < 0:
			wrong.add(inner, "%s", unknownField(m.name, fields))
		case seen[m.name]:
			wrong.add(inner, "given twice")
		default:
			f := fields[i]
			f.partial = partial
			checkValue(wrong, inner, m.value, f.kind, f)
		}
		seen[m.name] = true
	}
	for _, f := range fields {
		if !f.optional && !partial && !seen[f.name] {
			wrong.add(join(path, f.name), "is missing")
		}
	}
}

func checkMap(wrong *problems, path string, o object, t reflect.Type, f field) {
	checkBounds(wrong, path, len(o), "members", f)
	seen := map[string]bool{}
	for _, m := range o {
		if seen[m.name] {
			wrong.add(join(path, m.name), "given twice")
		}
		seen[m.name] = true
		checkValue(wrong, join(path, m.name), m.value, t.Elem(), field{optional: true})
	}
}

func checkText(wrong *problems, path, text string, t reflect.Type, f field) {
	switch {
	case isTime(t):
		if err := json.Unmarshal(fmt.Appendf(nil, "%q", text), reflect.New(t).Interface()); err != nil {
			wrong.add(path, "want a time such as 2027-01-31T18:00:00Z")
		}
		return
	case t.Kind() != reflect.String:
		wrong.add(path, "want %s", typeName(t))
		return
	case len(f.enum) > 0 && !slices.Contains(f.enum, text):
		wrong.add(path, "%.64q is none of %s", text, strings.Join(f.enum, ", "))
	}
	checkBounds(wrong, path, utf8.RuneCountInString(text), "characters", f)
}

func checkBounds(wrong *problems, path string, n int, what string, f field) {
	switch {
	case f.max != 0 && n > f.max:
		wrong.add(path, "has %d %s, want at most %d", n, what, f.max)
	case n < f.min:
		wrong.add(path, "has %d %s, want at least %d", n, what, f.min)
	}
}

func join(path, name string) string {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// unknownField says so, with the name that is nearest if only its case is not.
func unknownField(name string, fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		if strings.EqualFold(strings.ReplaceAll(f.name, "_", ""), strings.ReplaceAll(name, "_", "")) {
			return "there is no such field: did you mean " + f.name + "?"
		}
		names[i] = f.name
	}
	return "there is no such field; there are " + strings.Join(names, ", ")
}

func typeName(t reflect.Type) string {
	switch {
	case isTime(t):
		return "a time such as 2027-01-31T18:00:00Z"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "an object"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	}
	return "a whole number"
}

func isTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

// checkPrintable refuses what cannot be shown on one line.
func checkPrintable(wrong *problems, field, text string) {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			wrong.add(field, "has characters that cannot be printed")
			return
		}
	}
}
