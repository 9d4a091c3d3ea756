package authz

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Built-in roles. Harbor's five follow the registry-relevant rows of its
// permission matrix (src/common/rbac/project/rbac_role.go):
//
//	Harbor                                  here
//	repository pull                         pull
//	repository push                         push, overwrite (Harbor moves
//	                                        tags by pushing; what must not
//	                                        move is made immutable)
//	repository delete (the DELETE of /v2)   delete
//	repository list and tag list            list
//	robot and member create/update/delete   manage
//
// By these rows a limited guest and a guest are the same here: they differ
// in Harbor's own robot, member, quota and configuration pages only.
//
// Apicurio Registry's three roles go by the names that it gives them in
// tokens, sr-admin, sr-developer and sr-readonly; its developer may delete,
// Harbor's may not.
var builtinRoles = map[string]Action{
	"limited_guest": Pull | List,
	"guest":         Pull | List,
	"developer":     Pull | Push | Overwrite | List,
	"maintainer":    Pull | Push | Overwrite | List | Delete,
	"project_admin": AllActions,
	"admin":         AllActions,

	"read_only":    Pull | List,
	"sr-admin":     AllActions,
	"sr-developer": Pull | Push | Overwrite | List | Delete,
	"sr-readonly":  Pull | List,
}

// roles are all roles of a policy by name.
type roles map[string]Action

// compileRoles adds a configuration's own roles to the built-in ones.
func compileRoles(custom []Role) (roles, error) {
	all := make(roles, len(builtinRoles)+len(custom))
	for name, actions := range builtinRoles {
		all[name] = actions
	}
	var errs []error
	for _, r := range custom {
		if err := all.add(r); err != nil {
			errs = append(errs, at(r.Source, err))
		}
	}
	return all, errors.Join(errs...)
}

func (all roles) add(r Role) error {
	if r.Name == "" || strings.ContainsAny(r.Name, ": \t\n") {
		return fmt.Errorf("role name %q: want a word without colon or space", r.Name)
	}
	if _, ok := builtinRoles[r.Name]; ok {
		return fmt.Errorf("role %q is built in and cannot be redefined", r.Name)
	}
	if _, ok := all[r.Name]; ok {
		return fmt.Errorf("role %q is defined twice", r.Name)
	}
	actions, err := parseActions(r.Actions)
	if err != nil {
		return fmt.Errorf("role %q: %w", r.Name, err)
	}
	// Entered even if it is empty, so that its uses are not errors as well.
	all[r.Name] = actions
	if actions == 0 {
		return fmt.Errorf("role %q grants nothing: name its actions", r.Name)
	}
	return nil
}

// find returns the actions of a role.
func (all roles) find(name string) (Action, error) {
	if actions, ok := all[name]; ok {
		return actions, nil
	}
	return 0, unknown("role", name, keys(all))
}

// parseActions returns the set of named actions.
func parseActions(names []string) (Action, error) {
	var set Action
	for _, name := range names {
		a, err := ParseAction(name)
		if err != nil {
			return 0, unknown("action", name, append(AllActions.Names(), "*"))
		}
		set |= a
	}
	return set, nil
}

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

// Action is a set of things that may be done, one bit each. Single actions
// are sets of one.
type Action uint8

// The actions. Overwrite moves an existing tag, List reads the tags of a
// repository and its entry in the catalog, Manage administers the robots and
// members of a project.
const (
	Pull Action = 1 << iota
	Push
	Delete
	Overwrite
	List
	Manage
)

// AllActions is the set of every action.
const AllActions = Pull | Push | Delete | Overwrite | List | Manage

var actionNames = [...]string{"pull", "push", "delete", "overwrite", "list", "manage"}

// ParseAction returns the action of a name such as "pull"; "*" is all of them.
func ParseAction(name string) (Action, error) {
	if name == "*" {
		return AllActions, nil
	}
	for i, n := range actionNames {
		if n == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown action %q: want %s or *", name, strings.Join(actionNames[:], ", "))
}

// Has reports whether all of other is in the set.
func (a Action) Has(other Action) bool { return a&other == other }

// Names returns the names of the set's members, in the order of the constants.
func (a Action) Names() []string {
	names := make([]string, 0, bits.OnesCount8(uint8(a)))
	for i, n := range actionNames {
		if a&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// String joins the names with commas, as a scope does: "pull,push".
func (a Action) String() string { return strings.Join(a.Names(), ",") }

// MarshalText writes the names, so that configuration reads "pull,push".
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes, and "*".
func (a *Action) UnmarshalText(text []byte) error {
	*a = 0
	for name := range strings.SplitSeq(string(text), ",") {
		action, err := ParseAction(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		*a |= action
	}
	return nil
}
