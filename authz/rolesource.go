package authz

import (
	"fmt"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// roleSource is a place that roles come from.
type roleSource uint8

const (
	rolesOfToken roleSource = iota
	rolesOfApplication
	rolesOfHeader
)

var roleSourceNames = []string{rolesOfToken: "token", rolesOfApplication: "application", rolesOfHeader: "header"}

// compileRoleSources returns the sources in their order; all of them if none
// are named.
func compileRoleSources(names []string) ([]roleSource, error) {
	if len(names) == 0 {
		return []roleSource{rolesOfToken, rolesOfApplication, rolesOfHeader}, nil
	}
	var sources []roleSource
	for _, name := range names {
		i := slices.Index(roleSourceNames, name)
		switch {
		case i < 0:
			return nil, fmt.Errorf("role_source: %w", unknown("source", name, slices.Clone(roleSourceNames)))
		case slices.Contains(sources, roleSource(i)):
			return nil, fmt.Errorf("role_source: %s is given twice", name)
		}
		sources = append(sources, roleSource(i))
	}
	return sources, nil
}

// CheckRoleSources checks names of sources as [Config.RoleSources] has them.
func CheckRoleSources(names []string) error {
	_, err := compileRoleSources(names)
	return err
}

// HasRoleSource reports whether roles come from a source: "token",
// "application" or "header".
func (c *Config) HasRoleSource(name string) bool {
	return len(c.RoleSources) == 0 || slices.Contains(c.RoleSources, name)
}

// mappedID returns the subject that stands for another one in stored role
// mappings, which hold only where roles come from there.
func (t *subjects) mappedID(id subjectID) subjectID {
	if t.mapped == nil {
		t.mapped = map[subjectID]subjectID{}
	}
	mapped, ok := t.mapped[id]
	if !ok {
		mapped = subjectID(len(t.names))
		t.mapped[id] = mapped
		t.names = append(t.names, t.names[id])
	}
	return mapped
}

// resolveRoles appends the roles of a principal whose other ids are there. A
// source has roles for it if rules mention one of them.
func (t *subjects) resolveRoles(p *authn.Principal, ids []subjectID) []subjectID {
	who := len(ids)
	for _, source := range t.sources {
		before := len(ids)
		switch source {
		case rolesOfToken:
			for _, r := range p.Roles {
				ids = appendID(ids, t.roles, r)
			}
		case rolesOfHeader:
			for _, r := range p.HeaderRoles {
				ids = appendID(ids, t.roles, r)
			}
		case rolesOfApplication:
			if t.stored != nil {
				for _, r := range t.stored(p) {
					ids = appendID(ids, t.roles, r)
				}
			}
			if len(t.mapped) == 0 {
				continue
			}
			for i := range who {
				if mapped, ok := t.mapped[ids[i]]; ok {
					ids = append(ids, mapped)
				}
			}
		}
		if t.firstSource && len(ids) > before {
			break
		}
	}
	return ids
}

// roleAdmin is the role of those who may do everything.
const roleAdmin = "admin"

// noteMapped remembers a stored role mapping of the whole registry: its role is
// one also where it is not about repositories, see [SubjectSet].
func (p *Policy) noteMapped(r *Rule, subject subjectID) {
	if !r.mapped || r.Kind == RuleGrant && !slices.Equal(r.Patterns, []string{"**"}) {
		return
	}
	if p.mappings == nil {
		p.mappings = map[subjectID][]*Rule{}
	}
	p.mappings[subject] = append(p.mappings[subject], r)
}

// mappedRoles returns the roles that are stored for a principal, for the whole
// registry and for now.
func (p *Policy) mappedRoles(principal *authn.Principal) (roles []string) {
	if len(p.mappings) == 0 {
		return nil
	}
	who, _ := p.subjects.resolveWho(principal, nil)
	for _, id := range who {
		for _, r := range p.mappings[id] {
			switch {
			case r.conditions != nil && r.conditions.hold(&facts{principal: principal}, 0) != holds:
			case r.Kind == RuleAdmin:
				roles = append(roles, roleAdmin)
			default:
				roles = append(roles, r.Role)
			}
		}
	}
	return roles
}
