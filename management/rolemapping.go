package management

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// RoleMapping gives a principal a role. Every principal has one at most.
type RoleMapping struct {
	Principal string `json:"principal" doc:"Who: user:alice, group:dev, role:…, robot:ci, workload:github or claim:path=value." max:"512"`
	RoleMappingInput
	Source string `json:"source" doc:"store, or what keeps it from being used."`

	versioned
}

// RoleMappingInput is the request body for a role mapping.
type RoleMappingInput struct {
	Role          string     `json:"role" doc:"A role of ours, built in or declared, or ADMIN, DEVELOPER or READ_ONLY. admin without patterns is an administrator." min:"1" max:"128"`
	PrincipalName string     `json:"principal_name,omitempty" doc:"A name for people to read." max:"256"`
	Patterns      []string   `json:"patterns,omitempty" doc:"The repositories that it holds for. Absent: all." max:"100"`
	NotAfter      *time.Time `json:"not_after,omitempty" doc:"When it ends, to the second. Absent: never."`
}

// NewRoleMapping is a role mapping that is to be made.
type NewRoleMapping struct {
	Principal string `json:"principal" doc:"Who: user:alice, group:dev, role:…, robot:ci, workload:github or claim:path=value." min:"1" max:"512"`
	RoleMappingInput
}

// roleMappings describes role mappings as a managed resource.
func (m *Manager) roleMappings() *managed[state.RoleMapping, RoleMapping, RoleMappingInput] {
	writes := func(who *Caller) error { return m.needsRoles(who, ScopeRolesWrite) }
	return &managed[state.RoleMapping, RoleMapping, RoleMappingInput]{
		manager: m, table: m.state.RoleMappings, object: mappingObject, show: showMapping,
		mayRead: func(who *Caller) error { return m.needsRoles(who, ScopeRolesRead) }, mayPut: writes, mayDelete: writes,
		check: m.checkMapping,
		missing: func(principal string) error {
			return fail(CodeNotFound, "%.128q has no role mapping", principal)
		},
		exists: func(principal string) error {
			return fail(CodeExists, "%s has a role already", principal)
		},
	}
}

// RoleMappings lists the role mappings.
func (m *Manager) RoleMappings(who *Caller, q PageQuery) (*Page[*RoleMapping], error) {
	return m.roleMappings().list(who, q, nil)
}

// RoleMapping returns the role mapping of a principal.
func (m *Manager) RoleMapping(who *Caller, principal string) (*RoleMapping, error) {
	return m.roleMappings().get(who, principal)
}

// CreateRoleMapping makes a role mapping.
func (m *Manager) CreateRoleMapping(ctx context.Context, who *Caller, in NewRoleMapping) (*RoleMapping, error) {
	return m.roleMappings().create(ctx, who, in.Principal, in.RoleMappingInput)
}

// PutRoleMapping makes the role mapping of a principal or replaces it, and
// reports whether it is new.
func (m *Manager) PutRoleMapping(ctx context.Context, who *Caller, principal string, in RoleMappingInput, match Match) (made *RoleMapping, created bool, err error) {
	return m.roleMappings().replace(ctx, who, principal, in, match)
}

// DeleteRoleMapping takes the role of a principal away.
func (m *Manager) DeleteRoleMapping(ctx context.Context, who *Caller, principal string, match Match) error {
	return m.roleMappings().remove(ctx, who, principal, match)
}

// needsRoles returns an error unless the caller is an administrator and role
// mappings are in use.
func (m *Manager) needsRoles(who *Caller, scope Scope) error {
	if err := m.needsAdmin(who, scope); err != nil {
		return err
	}
	if m.config.NoRoleMappings {
		return fail(CodeForbidden, "role mappings are switched off in the configuration")
	}
	return nil
}

// checkMapping checks a role mapping and returns it as it is stored.
func (m *Manager) checkMapping(who *Caller, principal string, in RoleMappingInput) (*state.RoleMapping, error) {
	var wrong problems
	r := &state.RoleMapping{
		Principal: principal, PrincipalName: in.PrincipalName, Role: MappedRole(in.Role), Patterns: in.Patterns,
	}
	if in.NotAfter != nil {
		r.NotAfter = in.NotAfter.UTC().Truncate(time.Second)
		if !r.NotAfter.After(m.now()) {
			wrong.add("not_after", "has passed")
		}
	}
	if len(r.Principal) > maxPathValue {
		wrong.add("principal", "longer than %d bytes", maxPathValue)
	}
	switch kind, name, err := authz.ParseSubject(r.Principal); {
	case err != nil:
		wrong.check("principal", err)
	case name == "":
		wrong.add("principal", "%s can have no role of its own: want a user, group, role, robot, workload or claim", kind)
	}
	wrong.check("role", m.compiles(authz.Grant{Role: r.Role, Subjects: []string{"user:x"}}))
	for i, p := range in.Patterns {
		wrong.check(at("patterns", i), authz.CheckPattern(p))
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	m.mayAppoint(who, "principal", r.Principal, r.Role == "admin" && len(r.Patterns) == 0, nil, r.NotAfter, &wrong)
	return r, wrong.forbidden("it would be good for longer, or from elsewhere, than what makes you an administrator")
}

// compiles returns what is wrong with a grant.
func (m *Manager) compiles(g authz.Grant) error {
	_, err := m.tryGrant(g)
	return err
}

// tryGrant returns the actions that a grant gives.
func (m *Manager) tryGrant(g authz.Grant) (authz.Action, error) {
	policy, err := authz.Compile(authz.Config{Roles: m.declared.Roles, Projects: []authz.Project{{Name: "x", Patterns: []string{"**"}, Grants: []authz.Grant{g}}}})
	if err != nil {
		return 0, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), `project "x": grant: `))
	}
	return policy.Rules()[0].Actions, nil
}

func showMapping(i *state.Item[state.RoleMapping]) *RoleMapping {
	v := i.Value
	return &RoleMapping{Principal: i.ID, Source: sourceStore, versioned: versioned{i.Revision}, RoleMappingInput: RoleMappingInput{
		Role: v.Role, PrincipalName: v.PrincipalName, Patterns: v.Patterns, NotAfter: timeOf(v.NotAfter),
	}}
}

func mappingObject(id string) state.Object {
	return state.Object{Kind: "role_mapping", ID: id, Name: id}
}

// roleRoutes are about role mappings: in our own form, and at
// /admin/roleMappings in that of Apicurio Registry.
func (a *API) roleRoutes() []route {
	m := a.manager
	x := collection[RoleMapping]{
		path: "/role-mappings", variable: "principal", group: "roles", read: ScopeRolesRead, write: ScopeRolesWrite,
		name: func(r *RoleMapping) string { return r.Principal },
	}
	return append([]route{
		x.list("listRoleMappings", "Who has which role. For administrators.", m.RoleMappings, CodeForbidden),
		creating(x, "createRoleMapping", "Gives a principal a role.", m.CreateRoleMapping, CodeForbidden, CodeExists, CodeConflict),
		x.get("getRoleMapping", "The role of a principal.", m.RoleMapping, CodeForbidden, CodeNotFound),
		putting(x, "putRoleMapping", "Gives a principal a role, in place of the one that it has.", m.PutRoleMapping, CodeForbidden, CodeConflict),
		x.remove("deleteRoleMapping", "Takes the role of a principal away.", m.DeleteRoleMapping, CodeForbidden, CodeNotFound, CodeConflict),
	}, a.apicurioRoutes()...)
}
