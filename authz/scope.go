package authz

import (
	"errors"
	"strings"
)

const (
	maxScopes     = 100
	maxScopeBytes = 8 << 10
)

// ErrTooManyScopes is returned by ParseScopes for more than 100 scopes or
// 8 KiB of them.
var ErrTooManyScopes = errors.New("scope: more than 100 scopes, or longer than 8 KiB")

// ParseScopes reads the values of the "scope" parameters of a token request
// (Docker token specification): scopes of the form type:name:actions, which
// clients repeat, or join with spaces, or both. Accesses to one resource are
// merged; the order is that of first appearance.
//
// A token may hold less than was asked for, so there is no wrong scope: what
// is no scope, or of an unknown type, is left out; an impossible name is
// kept, without any action; unknown actions are left out. "*" is all actions
// on a repository; the registry knows "*" only, on its catalog.
func ParseScopes(values []string) ([]Access, error) {
	size, count := 0, 0
	for _, value := range values {
		// A space costs what it separates, which bounds empty values as well.
		if size += len(value) + 1; size > maxScopeBytes {
			return nil, ErrTooManyScopes
		}
	}
	var list []Access
	for _, value := range values {
		for scope := range strings.SplitSeq(value, " ") {
			if scope == "" {
				continue
			}
			if count++; count > maxScopes {
				return nil, ErrTooManyScopes
			}
			if access, ok := parseScope(scope); ok {
				list = merge(list, access)
			}
		}
	}
	return list, nil
}

// parseScope reads one scope. The name is all between the first and the last
// colon, since some clients put a host with a port into it.
func parseScope(scope string) (Access, bool) {
	typ, rest, _ := strings.Cut(scope, ":")
	last := strings.LastIndexByte(rest, ':')
	if last < 0 {
		return Access{}, false
	}
	name, actions := rest[:last], rest[last+1:]

	switch a := (Access{Type: withoutClass(typ), Name: name}); a.Type {
	case TypeRepository:
		if ValidName(name) {
			a.Actions = parseScopeActions(actions)
		}
		return a, true
	case TypeRegistry:
		if name == CatalogName && actions == "*" {
			a.Actions = AllActions
		}
		return a, true
	}
	return Access{}, false
}

// withoutClass makes "repository" of "repository(plugin)", a notation that
// is deprecated and that old clients still send.
func withoutClass(typ string) string {
	if bare, ok := strings.CutSuffix(typ, ")"); ok {
		if bare, class, ok := strings.Cut(bare, "("); ok && class != "" && all(class, lowerDigit) {
			return bare
		}
	}
	return typ
}

func parseScopeActions(list string) (actions Action) {
	for word := range strings.SplitSeq(list, ",") {
		switch word {
		case "pull":
			actions |= Pull
		case "push":
			actions |= Push
		case "delete":
			actions |= Delete
		case "*":
			actions = AllActions
		}
	}
	return actions
}

func merge(list []Access, a Access) []Access {
	for i := range list {
		if list[i].Type == a.Type && list[i].Name == a.Name {
			list[i].Actions |= a.Actions
			return list
		}
	}
	return append(list, a)
}

// FormatScopes joins accesses with spaces, as a challenge and the "scope" of
// a token response have them. Those without an action that has a word are
// left out.
func FormatScopes(list []Access) string {
	size := 0
	for _, a := range list {
		size += len(a.Type) + len(a.Name) + len(" ::pull,push,delete")
	}
	var b strings.Builder
	b.Grow(size)
	for _, a := range list {
		actions := a.ScopeActions()
		if len(actions) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.Type)
		b.WriteByte(':')
		b.WriteString(a.Name)
		for i, word := range actions {
			if i == 0 {
				b.WriteByte(':')
			} else {
				b.WriteByte(',')
			}
			b.WriteString(word)
		}
	}
	return b.String()
}
