package management

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
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

	revision uint64
}

// RoleMappingInput is what is said of a role mapping.
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

// RoleMappings lists the role mappings.
func (m *Manager) RoleMappings(who *Caller, q PageQuery) (*Page[*RoleMapping], error) {
	if err := m.needsRoles(who, ScopeRolesRead); err != nil {
		return nil, err
	}
	return page(q, m.state.RoleMappings.All(), func(i *state.Item[state.RoleMapping]) string { return i.ID }, showMapping)
}

// RoleMapping returns the role mapping of a principal.
func (m *Manager) RoleMapping(who *Caller, principal string) (*RoleMapping, error) {
	if err := m.needsRoles(who, ScopeRolesRead); err != nil {
		return nil, err
	}
	item, ok := m.state.RoleMappings.Get(principal)
	if !ok {
		return nil, noMapping(principal)
	}
	return showMapping(item), nil
}

// CreateRoleMapping makes a role mapping.
func (m *Manager) CreateRoleMapping(ctx context.Context, who *Caller, in NewRoleMapping) (*RoleMapping, error) {
	made, _, err := m.PutRoleMapping(ctx, who, in.Principal, in.RoleMappingInput, Match{Absent: true})
	if err != nil && AsError(err).Code == CodeStale {
		return nil, fail(CodeExists, "%s has a role already", in.Principal)
	}
	return made, err
}

// PutRoleMapping makes the role mapping of a principal or replaces it, and
// reports whether it is new.
func (m *Manager) PutRoleMapping(ctx context.Context, who *Caller, principal string, in RoleMappingInput, match Match) (made *RoleMapping, created bool, err error) {
	if err := m.needsRoles(who, ScopeRolesWrite); err != nil {
		return nil, false, err
	}
	next, err := m.checkMapping(who, principal, in)
	if err != nil {
		return nil, false, err
	}
	err = again(ctx, func() error {
		before, exists := m.state.RoleMappings.Get(next.Principal)
		if created = !exists; created {
			before = nil
		}
		revision, condition := expect(before)
		if err := match.check(revision); err != nil {
			return err
		}
		if exists && equalRecord(before.Value, next) {
			made = showMapping(before)
			return nil
		}
		made = showMapping(&state.Item[state.RoleMapping]{ID: next.Principal, Value: next})
		var tx state.Tx
		var old any
		if exists {
			old = showMapping(before)
		}
		state.Put(&tx, m.state.RoleMappings, next.Principal, next, condition)
		tx.Note(who.Actor(), verb("role_mapping", exists), mappingObject(next.Principal), old, made)
		if err := m.commit(ctx, who, &tx, made); err != nil {
			return err
		}
		made.revision = revisionOf(m.state.RoleMappings, next.Principal)
		return nil
	})
	return made, created, err
}

// DeleteRoleMapping takes the role of a principal away.
func (m *Manager) DeleteRoleMapping(ctx context.Context, who *Caller, principal string, match Match) error {
	if err := m.needsRoles(who, ScopeRolesWrite); err != nil {
		return err
	}
	return again(ctx, func() error {
		item, ok := m.state.RoleMappings.Get(principal)
		if !ok {
			return noMapping(principal)
		}
		if err := match.check(item.Revision); err != nil {
			return err
		}
		var tx state.Tx
		state.Delete(&tx, m.state.RoleMappings, item.ID, state.Unchanged(item))
		tx.Note(who.Actor(), "role_mapping.delete", mappingObject(item.ID), showMapping(item), nil)
		return m.commit(ctx, who, &tx, nil)
	})
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
	return &RoleMapping{Principal: i.ID, Source: sourceStore, revision: i.Revision, RoleMappingInput: RoleMappingInput{
		Role: v.Role, PrincipalName: v.PrincipalName, Patterns: v.Patterns, NotAfter: timeOf(v.NotAfter),
	}}
}

func mappingObject(id string) state.Object {
	return state.Object{Kind: "role_mapping", ID: id, Name: id}
}

func noMapping(principal string) error {
	return fail(CodeNotFound, "%.128q has no role mapping", principal)
}

// verb names an event.
func verb(kind string, exists bool) string {
	if exists {
		return kind + ".update"
	}
	return kind + ".create"
}

// revisionOf returns the revision of a record that was just written.
func revisionOf[T any](t *state.Table[T], id string) uint64 {
	item, ok := t.Get(id)
	if !ok {
		return 0
	}
	return item.Revision
}

// roleRoutes are about role mappings: in our own form, and at
// /admin/roleMappings in that of Apicurio Registry.
func (a *API) roleRoutes() []route {
	m := a.manager
	location := func(principal string) string { return "/role-mappings/" + url.PathEscape(principal) }
	made := func(r *RoleMapping, created bool, err error) (*answer, error) {
		if err != nil {
			return nil, err
		}
		return &answer{value: r, revision: r.revision, created: created, location: location(r.Principal)}, nil
	}
	return append([]route{
		{
			method: http.MethodGet, path: "/role-mappings", id: "listRoleMappings", group: "roles", scope: ScopeRolesRead,
			summary: "Who has which role. For administrators.", query: pageParameters,
			status: http.StatusOK, result: of[List[*RoleMapping]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.RoleMappings(c.who, p))
			},
		},
		{
			method: http.MethodPost, path: "/role-mappings", id: "createRoleMapping", group: "roles", scope: ScopeRolesWrite, once: true,
			summary: "Gives a principal a role.", body: of[NewRoleMapping](), status: http.StatusCreated, result: of[RoleMapping](), versioned: true,
			fails: []Code{CodeForbidden, CodeExists, CodeConflict},
			serve: func(c *call) (*answer, error) {
				r, err := m.CreateRoleMapping(c.request.Context(), c.who, input[NewRoleMapping](c))
				return made(r, true, err)
			},
			location: func(v any) string {
				if r, ok := v.(*RoleMapping); ok {
					return location(r.Principal)
				}
				return ""
			},
		},
		{
			method: http.MethodGet, path: "/role-mappings/{principal}", id: "getRoleMapping", group: "roles", scope: ScopeRolesRead,
			summary: "The role of a principal.", status: http.StatusOK, result: of[RoleMapping](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				r, err := m.RoleMapping(c.who, c.path["principal"])
				if err != nil {
					return nil, err
				}
				return &answer{value: r, revision: r.revision}, nil
			},
		},
		{
			method: http.MethodPut, path: "/role-mappings/{principal}", id: "putRoleMapping", group: "roles", scope: ScopeRolesWrite,
			summary: "Gives a principal a role, in place of the one that it has.",
			body:    of[RoleMappingInput](), status: http.StatusOK, created: true, result: of[RoleMapping](), versioned: true,
			fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return made(m.PutRoleMapping(c.request.Context(), c.who, c.path["principal"], input[RoleMappingInput](c), c.match))
			},
		},
		{
			method: http.MethodDelete, path: "/role-mappings/{principal}", id: "deleteRoleMapping", group: "roles", scope: ScopeRolesWrite,
			summary: "Takes the role of a principal away.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteRoleMapping(c.request.Context(), c.who, c.path["principal"], c.match)
			},
		},
	}, a.apicurioRoutes()...)
}

// apicurioRoutes are what Apicurio Registry has at /apis/registry/v3.
func (a *API) apicurioRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/admin/roleMappings", id: "listApicurioRoleMappings", group: "roles", scope: ScopeRolesRead,
			summary: "Who has which role, in the form of Apicurio Registry.",
			query: []queryParameter{
				{"limit", "How many at most.", schema{"type": "integer", "minimum": 0, "maximum": maxApicurioPage, "default": apicurioPage}},
				{"offset", "How many to pass over.", schema{"type": "integer", "minimum": 0, "default": 0}},
			},
			status: http.StatusOK, result: of[ApicurioMappings](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				p, err := m.ApicurioMappings(c.who, q.Get("limit"), q.Get("offset"))
				return &answer{value: p}, err
			},
		},
		{
			method: http.MethodPost, path: "/admin/roleMappings", id: "createApicurioRoleMapping", group: "roles", scope: ScopeRolesWrite,
			summary: "Gives a principal a role.", body: of[ApicurioMapping](), status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeExists, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.CreateApicurioMapping(c.request.Context(), c.who, input[ApicurioMapping](c))
			},
		},
		{
			method: http.MethodGet, path: "/admin/roleMappings/{principalId}", id: "getApicurioRoleMapping", group: "roles", scope: ScopeRolesRead,
			summary: "The role of a principal.", status: http.StatusOK, result: of[ApicurioMapping](),
			fails: []Code{CodeForbidden, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				r, err := m.ApicurioMapping(c.who, c.path["principalId"])
				return &answer{value: r}, err
			},
		},
		{
			method: http.MethodPut, path: "/admin/roleMappings/{principalId}", id: "putApicurioRoleMapping", group: "roles", scope: ScopeRolesWrite,
			summary: "Changes the role of a principal that has one.", body: of[ApicurioRole](), status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.ChangeApicurioMapping(c.request.Context(), c.who, c.path["principalId"], input[ApicurioRole](c).Role)
			},
		},
		{
			method: http.MethodDelete, path: "/admin/roleMappings/{principalId}", id: "deleteApicurioRoleMapping", group: "roles", scope: ScopeRolesWrite,
			summary: "Takes the role of a principal away.", status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteRoleMapping(c.request.Context(), c.who, apicurioSubject(c.path["principalId"]), Match{})
			},
		},
	}
}
