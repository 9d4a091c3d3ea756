package authz

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPattern bounds a pattern's length: a repository name has at most 255
// characters, placeholders may be longer than what they stand for.
const maxPattern = 512

// pattern is a parsed repository pattern.
//
//   - one segment, or within a segment any run of characters: team-*
//     **    any number of segments; at the end at least one: team/** is
//     everything below team/, but not team (as in gitignore)
//
// and the placeholders {user}, {groups} and {claims.path}.
type pattern struct {
	text     string
	segments []segment
}

// segment is what stands between two slashes of a pattern. A segment
// without any part is "**".
type segment struct {
	text  string
	parts []part
}

func (s segment) deep() bool { return len(s.parts) == 0 }

// literal returns the segment's text if it has neither star nor placeholder.
func (s segment) literal() (string, bool) {
	return s.text, len(s.parts) == 1 && s.parts[0].kind == partLiteral
}

func (s segment) star() bool { return s.text == "*" }

type partKind uint8

const (
	partLiteral partKind = iota
	partStar
	partUser
	partGroups
	partClaim
)

// part is a piece of a segment. Its text is a literal's own or a claim's path.
type part struct {
	kind partKind
	text string
}

// parsePattern parses a repository pattern.
func parsePattern(text string) (pattern, error) {
	fail := func(format string, args ...any) (pattern, error) {
		return pattern{}, fmt.Errorf("pattern %q: "+format, append([]any{text}, args...)...)
	}
	switch {
	case text == "":
		return fail("empty; ** is every repository")
	case len(text) > maxPattern:
		return fail("longer than %d characters", maxPattern)
	case !utf8.ValidString(text):
		return fail("not UTF-8")
	}
	p := pattern{text: text}
	groups := 0
	for piece := range strings.SplitSeq(text, "/") {
		s, err := parseSegment(piece)
		if err != nil {
			return fail("%w", err)
		}
		if n := len(p.segments); s.deep() && n > 0 && p.segments[n-1].deep() {
			return fail("** twice in a row")
		}
		for _, part := range s.parts {
			if part.kind == partGroups {
				groups++
			}
		}
		p.segments = append(p.segments, s)
	}
	if groups > 1 {
		return fail("{groups} more than once")
	}
	return p, nil
}

func parseSegment(text string) (segment, error) {
	s := segment{text: text}
	switch {
	case text == "":
		return s, errors.New("empty path segment")
	case text == "**":
		return s, nil
	case strings.Contains(text, "**"):
		return s, errors.New("** stands alone between slashes")
	}
	for rest := text; rest != ""; {
		switch i := strings.IndexAny(rest, "*{"); {
		case i < 0:
			s.parts, rest = append(s.parts, part{partLiteral, rest}), ""
		case i > 0:
			s.parts, rest = append(s.parts, part{partLiteral, rest[:i]}), rest[i:]
		case rest[0] == '*':
			s.parts, rest = append(s.parts, part{kind: partStar}), rest[1:]
		default:
			name, after, ok := strings.Cut(rest[1:], "}")
			if !ok {
				return s, errors.New("placeholder without closing }")
			}
			placeholder, err := parsePlaceholder(name)
			if err != nil {
				return s, err
			}
			s.parts, rest = append(s.parts, placeholder), after
		}
	}
	for _, p := range s.parts {
		if p.kind == partLiteral && !nameCharacters(p.text) {
			return s, fmt.Errorf("%q can be part of no repository name: want a-z, 0-9 and single . _ -", p.text)
		}
	}
	return s, nil
}

func parsePlaceholder(name string) (part, error) {
	switch {
	case name == "user":
		return part{kind: partUser}, nil
	case name == "groups":
		return part{kind: partGroups}, nil
	case strings.HasPrefix(name, "claims.") && len(name) > len("claims."):
		return part{partClaim, name[len("claims."):]}, nil
	}
	return part{}, unknown("placeholder", "{"+name+"}", []string{"{user}", "{groups}", "{claims.path}"})
}

// nameCharacters reports whether s holds only what the segments of a
// repository name are made of. It decides whether a claim's value may stand
// for a placeholder, so it must never let "/", "*" or ".." pass.
func nameCharacters(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		case c == '.' && (i == 0 || s[i-1] != '.'):
		default:
			return false
		}
	}
	return s != ""
}

// wildcards returns the pattern with a star in place of each placeholder: a
// project's protections hold whoever asks.
func (p pattern) wildcards() pattern {
	out := pattern{text: p.text, segments: make([]segment, len(p.segments))}
	for i, s := range p.segments {
		if s.deep() {
			out.segments[i] = s
			continue
		}
		w := segment{}
		for _, q := range s.parts {
			if q.kind != partLiteral {
				q = part{kind: partStar}
			}
			if n := len(w.parts); q.kind == partStar && n > 0 && w.parts[n-1].kind == partStar {
				continue
			}
			w.parts = append(w.parts, q)
			if q.kind == partStar {
				w.text += "*"
			} else {
				w.text += q.text
			}
		}
		out.segments[i] = w
	}
	return out
}

// placeholders reports whether what the pattern matches depends on who asks.
func (p pattern) placeholders() bool { return strings.Contains(p.text, "{") }
