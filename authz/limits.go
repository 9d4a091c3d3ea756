package authz

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// limit returns the part of want that a principal's credential allows at
// most. It is the same upper bound for everybody, administrators too.
func limit(p *authn.Principal, kind, name string, want Action) Action {
	if p == nil || p.Limits == nil {
		return want
	}
	var allowed Action
	for i := range p.Limits {
		l := &p.Limits[i]
		if resourceType(l.Type) != kind || !matchPattern(l.Name, name) {
			continue
		}
		for _, action := range l.Actions {
			allowed |= limitAction(action)
		}
		if allowed.Has(want) {
			break
		}
	}
	return want & allowed
}

// TokenActions translates actions as credentials have them, such as a robot's
// or those of a scope: who may pull may list the tags, who may push may move
// them, "*" is everything. Unknown actions allow nothing.
func TokenActions(names ...string) Action {
	var actions Action
	for _, name := range names {
		actions |= limitAction(name)
	}
	return actions
}

// limitAction translates an action of the Docker token specification, which
// knows fewer: who may pull may list the tags, who may push may move them.
// An unknown action allows nothing.
func limitAction(name string) Action {
	switch name {
	case "pull":
		return Pull | List
	case "push":
		return Push | Overwrite
	}
	a, err := ParseAction(name)
	if err != nil {
		return 0
	}
	return a
}

// resourceType returns a type without its class, "repository" for
// "repository(plugin)". No type at all is a repository.
func resourceType(t string) string {
	if t == "" {
		return TypeRepository
	}
	if i := strings.IndexByte(t, '('); i > 0 && strings.HasSuffix(t, ")") {
		return t[:i]
	}
	return t
}
