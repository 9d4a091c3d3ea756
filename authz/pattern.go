package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
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

// filled returns the patterns that a principal makes of one with placeholders:
// one for each group, none if there is nothing to fill in.
func (p pattern) filled(principal *authn.Principal) []pattern {
	if !p.placeholders() {
		return []pattern{p}
	}
	if principal.IsAnonymous() {
		return nil
	}
	groups := []string{""}
	if slices.ContainsFunc(p.segments, func(s segment) bool {
		return slices.ContainsFunc(s.parts, func(q part) bool { return q.kind == partGroups })
	}) {
		groups = principal.Groups
	}
	var list []pattern
	for _, group := range groups {
		if filled, ok := p.fill(principal, group); ok {
			list = append(list, filled)
		}
	}
	return list
}

func (p pattern) fill(principal *authn.Principal, group string) (pattern, bool) {
	out := pattern{segments: make([]segment, len(p.segments))}
	for i, s := range p.segments {
		if s.deep() {
			out.segments[i] = s
			continue
		}
		next := segment{text: s.text}
		for _, q := range s.parts {
			if q.kind != partStar {
				value, ok := q.value(principal, group)
				if !ok {
					return pattern{}, false
				}
				q = part{partLiteral, value}
			}
			next.parts = append(next.parts, q)
		}
		out.segments[i] = next
	}
	return out, true
}

// matches reports whether the segment of a pattern matches one of a
// repository's name, with the principal's values for the placeholders.
// {groups} is one attempt per group.
func (s segment) matches(name string, p *authn.Principal) bool {
	for _, part := range s.parts {
		if part.kind != partGroups {
			continue
		}
		if p.IsAnonymous() {
			return false
		}
		for _, group := range p.Groups {
			if s.matchesWith(name, p, group) {
				return true
			}
		}
		return false
	}
	return s.matchesWith(name, p, "")
}

// matchesWith is the usual glob match that goes back to the last star only:
// it takes time proportional to the product of the lengths at worst.
func (s segment) matchesWith(name string, p *authn.Principal, group string) bool {
	part, at := 0, 0
	star, starAt := -1, 0
	for {
		switch {
		case part == len(s.parts) && at == len(name):
			return true
		case part < len(s.parts) && s.parts[part].kind == partStar:
			star, starAt = part, at
			part++
			continue
		case part < len(s.parts):
			value, ok := s.parts[part].value(p, group)
			if !ok {
				return false
			}
			if strings.HasPrefix(name[at:], value) {
				at += len(value)
				part++
				continue
			}
		}
		if star < 0 || starAt >= len(name) {
			return false
		}
		starAt++
		part, at = star+1, starAt
	}
}

// value is what a part stands for: false if it is a placeholder that this
// principal cannot fill, or that would be more than a piece of a name.
func (q part) value(p *authn.Principal, group string) (string, bool) {
	v := ""
	switch q.kind {
	case partLiteral:
		return q.text, true
	case partUser:
		// Not for robots and workloads: one that is called like a user
		// would otherwise have the user's namespace.
		if p.IsAnonymous() || p.Kind != authn.KindUser {
			return "", false
		}
		v = p.Name
	case partGroups:
		v = group
	case partClaim:
		if p.IsAnonymous() {
			return "", false
		}
		claim, _ := p.Claim(q.text)
		v, _ = claim.(string)
	}
	return v, nameCharacters(v)
}

// matchPattern reports whether a pattern without placeholders, as the limits
// of a credential have them, matches a repository's name. It takes the
// pattern as text, so that a limit costs no parsing; a pattern that is not
// well formed matches at most what it spells.
func matchPattern(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	// after is the state to go back to: the pattern behind the last "**" and
	// the name it was tried on.
	var afterPattern, afterName string
	back := false
	for {
		head, rest, more := strings.Cut(pattern, "/")
		if head == "**" {
			if !more {
				return name != ""
			}
			pattern, afterPattern, afterName, back = rest, rest, name, true
			continue
		}
		segment, restName, moreName := strings.Cut(name, "/")
		if name != "" && matchGlob(head, segment) && more == moreName {
			if !more {
				return true
			}
			pattern, name = rest, restName
			continue
		}
		// A "**" at the end wants something below: a/** does not match a.
		if !back || afterName == "" {
			return false
		}
		_, afterName, _ = strings.Cut(afterName, "/")
		pattern, name = afterPattern, afterName
	}
}

// matchGlob reports whether a glob with stars matches all of s.
func matchGlob(glob, s string) bool {
	g, i := 0, 0
	star, starAt := -1, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, starAt = g, i
			g++
		case g < len(glob) && glob[g] == s[i]:
			g++
			i++
		case star >= 0:
			starAt++
			g, i = star+1, starAt
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

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
