package authz

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// OwnedBy is what an owner owns.
type OwnedBy uint8

// The things that have owners.
const (
	// OwnedRepository is one repository.
	OwnedRepository OwnedBy = iota
	// OwnedNamespace is everything below the first segment of a name.
	OwnedNamespace
)

var ownedNames = [...]string{OwnedRepository: "repository", OwnedNamespace: "namespace"}

// String returns the word of the configuration.
func (o OwnedBy) String() string { return ownedNames[o] }

// ParseOwnedBy reads what String returns.
func ParseOwnedBy(name string) (OwnedBy, error) {
	for i, n := range ownedNames {
		if n == name {
			return OwnedBy(i), nil
		}
	}
	return 0, unknown("kind of owner", name, ownedNames[:])
}

// Of returns the name that is owned where a repository is: its own, or that
// of its namespace.
func (o OwnedBy) Of(repository string) string {
	if o == OwnedNamespace {
		repository, _, _ = strings.Cut(repository, "/")
	}
	return repository
}

// Ownership is who owns something. It is immutable.
type Ownership struct {
	// Principal is the owner as rules call it: "user:alice".
	Principal string
	// Identity is who that is for good, see [authn.Identity.ID]; empty if it
	// is not known, and the name decides.
	Identity string
	// Created: the repository did not exist before its owner pushed to it.
	Created bool
}

// Is reports whether a principal is the owner.
func (o *Ownership) Is(p *authn.Principal) bool {
	switch {
	case p.IsAnonymous():
		return false
	case o.Identity != "":
		return o.Identity == p.Identity().ID()
	}
	return o.Principal == p.String()
}

// owner enters an owner_only rule.
func (c *compiler) owner(o OwnerOnly) {
	by, err := ParseOwnedBy(o.By)
	if err != nil {
		c.fail(o.Source, fmt.Errorf("owner_only: %w", err))
		return
	}
	patterns := o.Patterns
	if len(patterns) == 0 {
		patterns = []string{"**"}
	}
	r := c.note(&Rule{Kind: RuleOwner, Role: o.By, Actions: writes, Patterns: patterns, Source: o.Source})
	c.checkPatterns("owner_only", r)
	c.protect(r, func(at *place) { at.owned[by] = r })
}

// creator enters what who creates a repository may do there.
func (c *compiler) creator(o CreatorRole) {
	patterns := o.Patterns
	if len(patterns) == 0 {
		patterns = []string{"**"}
	}
	actions, err := c.roles.find(o.Role)
	if o.Role == "" {
		err = errors.New("no role")
	}
	if err != nil {
		c.fail(o.Source, fmt.Errorf("creator_role: %w", err))
		return
	}
	r := c.note(&Rule{Kind: RuleCreator, Role: o.Role, Actions: actions, Patterns: patterns, Source: o.Source})
	c.checkPatterns("creator_role", r)
	c.protect(r, func(at *place) { at.creators = append(at.creators, r) })
	c.contest(r)
}

func (c *compiler) checkPatterns(what string, r *Rule) {
	for _, text := range r.Patterns {
		if err := CheckPattern(text); err != nil {
			c.fail(r.Source, fmt.Errorf("%s: %w", what, err))
		}
	}
}

// Owned returns whose names a push to a repository records, and whether what
// exists before matters.
func (p *Policy) Owned(repository string) (by []OwnedBy, creator bool) {
	var buf [16]*place
	var owned [len(ownedNames)]bool
	for _, at := range p.index.match(repository, authn.Anonymous, buf[:0]) {
		for i, r := range at.owned {
			owned[i] = owned[i] || r != nil
		}
		creator = creator || len(at.creators) > 0
	}
	owned[OwnedRepository] = owned[OwnedRepository] || creator
	for i, yes := range owned {
		if yes {
			by = append(by, OwnedBy(i))
		}
	}
	return by, creator
}

// foreign returns the rule that keeps a repository's other users from changing
// it, if somebody else owns it. Administrators are nowhere foreign.
func (e *evaluation) foreign(p *Policy, f *facts, admin *tally) *Rule {
	want := f.want & writes
	if p.facts == nil || want == 0 || admin.got.Has(want) {
		return nil
	}
	for _, at := range e.places {
		for by, r := range at.owned {
			if r == nil {
				continue
			}
			by := OwnedBy(by)
			if owner := p.facts.Owner(by, by.Of(f.query.Repository)); owner != nil && !owner.Is(f.principal) {
				return r
			}
		}
	}
	return nil
}

// created returns what a principal may do because it made the repository.
func (e *evaluation) created(p *Policy, f *facts, want Action) (actions Action, by *Rule) {
	if p.facts == nil {
		return 0, nil
	}
	for _, at := range e.places {
		for _, r := range at.creators {
			gain := r.Actions & want
			if gain == 0 {
				continue
			}
			if by == nil {
				owner := p.facts.Owner(OwnedRepository, f.query.Repository)
				if owner == nil || !owner.Created || !owner.Is(f.principal) {
					return 0, nil
				}
				by = r
			}
			actions |= gain
		}
	}
	return actions, by
}
