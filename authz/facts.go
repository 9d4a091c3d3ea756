package authz

import (
	"fmt"
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Facts are what is known at run time beyond a policy's own rules. It is asked
// for decisions: it must neither block nor allocate.
type Facts interface {
	// Permissions returns what was given to the principal itself, such as
	// those of a stored robot; nil if nothing was.
	Permissions(p *authn.Principal) *Permissions
	// Owner returns who owns a repository or namespace, nil if nobody does.
	Owner(by OwnedBy, name string) *Ownership
}

// Permissions are a grant that belongs to one principal and not to a policy.
// Deny rules, immutable tags and read-only mode stand above it as above every
// grant. It is immutable.
type Permissions struct {
	holder  string
	actions Action // of all of them
	list    []permission
	rule    atomic.Pointer[Rule]
}

// asRule is how explanations and logs show them. It is made when it is first
// asked for.
func (p *Permissions) asRule() *Rule {
	if r := p.rule.Load(); r != nil {
		return r
	}
	r := &Rule{Kind: RulePermission, Subjects: []string{p.holder}, Actions: p.actions}
	for _, e := range p.list {
		r.Patterns = append(r.Patterns, e.pattern)
	}
	p.rule.CompareAndSwap(nil, r)
	return p.rule.Load()
}

type permission struct {
	kind    string
	pattern string
	actions Action
}

// NewPermissions checks permissions: a type "repository" with a pattern, or
// "registry" with the name "catalog", and actions as tokens have them: who may
// pull may list the tags, who may push may move them. Holder, "robot:ci", is
// how explanations call the owner.
func NewPermissions(holder string, list []authn.Limit) (*Permissions, error) {
	p := &Permissions{holder: holder, list: make([]permission, 0, len(list))}
	for i, l := range list {
		if err := checkPermission(l); err != nil {
			return nil, fmt.Errorf("permissions[%d]: %w", i, err)
		}
		e := permission{kind: resourceType(l.Type), pattern: l.Name, actions: TokenActions(l.Actions...)}
		p.list = append(p.list, e)
		p.actions |= e.actions
	}
	return p, nil
}

func checkPermission(l authn.Limit) error {
	switch resourceType(l.Type) {
	case TypeRepository:
		if err := CheckPattern(l.Name); err != nil {
			return err
		}
	case TypeRegistry:
		if l.Name != CatalogName {
			return fmt.Errorf("name %q: a permission of type registry is for %q", l.Name, CatalogName)
		}
	default:
		return fmt.Errorf("type %q: want repository or registry", l.Type)
	}
	if len(l.Actions) == 0 {
		return fmt.Errorf("%s: no actions", l.Name)
	}
	for _, name := range l.Actions {
		if limitAction(name) == 0 {
			return unknown("action", name, append(AllActions.Names(), "*"))
		}
	}
	return nil
}

// on returns the actions that are permitted on a resource.
func (p *Permissions) on(kind, name string) Action {
	if p == nil {
		return 0
	}
	var actions Action
	for i := range p.list {
		if e := &p.list[i]; e.kind == kind && matchPattern(e.pattern, name) {
			actions |= e.actions
		}
	}
	return actions
}

// With returns the policy with what is known at run time. The policy itself
// does not change.
func (p *Policy) With(facts Facts) *Policy {
	with := *p
	with.facts = facts
	return &with
}

// own returns the part of want that was given to the principal itself.
func (p *Policy) own(f *facts, want Action) (Action, *Rule) {
	if p.facts == nil || f.principal == nil {
		return 0, nil
	}
	given := p.facts.Permissions(f.principal)
	if given == nil {
		return 0, nil
	}
	kind := resourceType(f.query.Type)
	actions := given.on(kind, f.query.Repository)
	if kind == TypeRegistry && p.listers != nil && given.actions.Has(List) {
		actions |= List // the catalog is filtered: it shows what is permitted
	}
	if actions &= want; actions == 0 {
		return 0, nil
	}
	return actions, given.asRule()
}
