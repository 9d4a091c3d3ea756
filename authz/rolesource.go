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
