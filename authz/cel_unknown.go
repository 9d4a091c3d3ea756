package authz

import (
	"slices"
	"strings"
)

// unknownIn is [unknownField] for one text.
func unknownIn(text string) func(column int) error {
	return func(column int) error { return unknownField(text, column) }
}

// unknownField is the error for a field that expressions cannot see, at a
// place in the text, in characters; nil if no such field is there.
func unknownField(text string, column int) error {
	runes := []rune(text)
	if column < 0 || column > len(runes) {
		return nil
	}
	word := string(runes[column:])
	if end := strings.IndexFunc(word, func(r rune) bool { return !isFieldRune(r) }); end >= 0 {
		word = word[:end]
	}
	roots := []string{"claims", "principal", "request"}
	parent, _, _ := strings.Cut(word, ".")
	if parent == "" || parent == "claims" {
		return nil
	}
	if !slices.Contains(roots, parent) {
		return unknown("name", parent, roots)
	}
	known := append([]string{"principal.groups", "principal.roles", "request.time"}, celStrings...)
	known = slices.DeleteFunc(known, func(name string) bool { return !strings.HasPrefix(name, parent+".") })
	if slices.Contains(known, word) {
		return nil
	}
	return unknown("field", word, known)
}

func isFieldRune(r rune) bool {
	return r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
