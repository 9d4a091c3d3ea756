package authz

import "fmt"

// CheckPattern returns an error if text is no repository pattern, or one
// whose placeholders would have to be filled in for a principal.
func CheckPattern(text string) error {
	p, err := parsePattern(text)
	if err != nil {
		return err
	}
	if p.placeholders() {
		return fmt.Errorf("pattern %q: there is no principal here to fill in a placeholder", text)
	}
	return nil
}

// MatchPattern reports whether a pattern that [CheckPattern] takes matches a
// repository's name. It allocates nothing.
func MatchPattern(pattern, repository string) bool { return matchPattern(pattern, repository) }
