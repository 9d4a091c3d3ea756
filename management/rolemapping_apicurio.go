package management

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// ApicurioMapping is a role mapping in the form that Apicurio Registry has.
type ApicurioMapping struct {
	PrincipalID   string `json:"principalId" doc:"Who. A plain name is that of a user; group:dev and others are taken as well." min:"1" max:"512"`
	Role          string `json:"role" doc:"Of a role that is none of the three, the one nearest to it." enum:"READ_ONLY,DEVELOPER,ADMIN"`
	PrincipalName string `json:"principalName,omitempty" doc:"A name for people to read." max:"256"`
}

// ApicurioMappings is a page of them.
type ApicurioMappings struct {
	Count        int               `json:"count" doc:"How many there are in all."`
	RoleMappings []ApicurioMapping `json:"roleMappings"`
}

// ApicurioRole is what a role mapping is changed to.
type ApicurioRole struct {
	Role string `json:"role" enum:"READ_ONLY,DEVELOPER,ADMIN"`
}

const (
	apicurioPage    = 20
	maxApicurioPage = 500
)

// apicurioSubject is a principal of Apicurio Registry as rules spell it. There a
// principal is the name of a user; what has a kind before it must be a subject
// of ours.
func apicurioSubject(principal string) string {
	if strings.Contains(principal, ":") {
		return principal
	}
	return "user:" + principal
}

// ApicurioMappings lists role mappings by limit and offset.
func (m *Manager) ApicurioMappings(who *Caller, limit, offset string) (*ApicurioMappings, error) {
	if err := m.needsRoles(who, ScopeRolesRead); err != nil {
		return nil, err
	}
	var wrong problems
	number := func(field, text string, otherwise, most int) int {
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > most {
			wrong.add(field, "want a number up to %d", most)
		}
		return n
	}
	const manyMappings = 1 << 30
	n, from := number("limit", limit, apicurioPage, maxApicurioPage), number("offset", offset, 0, manyMappings)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	all := m.state.RoleMappings.Sorted()
	out := &ApicurioMappings{Count: len(all), RoleMappings: []ApicurioMapping{}}
	all = all[min(from, len(all)):]
	for _, item := range all[:min(n, len(all))] {
		out.RoleMappings = append(out.RoleMappings, m.showApicurio(item.Value))
	}
	return out, nil
}

// ApicurioMapping returns the role mapping of a principal.
func (m *Manager) ApicurioMapping(who *Caller, principal string) (*ApicurioMapping, error) {
	r, err := m.RoleMapping(who, apicurioSubject(principal))
	if err != nil {
		return nil, err
	}
	out := m.showApicurio(&state.RoleMapping{Principal: r.Principal, PrincipalName: r.PrincipalName, Role: r.Role})
	return &out, nil
}

// CreateApicurioMapping makes a role mapping.
func (m *Manager) CreateApicurioMapping(ctx context.Context, who *Caller, in ApicurioMapping) error {
	_, err := m.CreateRoleMapping(ctx, who, NewRoleMapping{
		Principal: apicurioSubject(in.PrincipalID), RoleMappingInput: RoleMappingInput{Role: in.Role, PrincipalName: in.PrincipalName},
	})
	return err
}

// ChangeApicurioMapping changes the role of a mapping that there is and leaves
// what Apicurio Registry does not know: patterns and the end.
func (m *Manager) ChangeApicurioMapping(ctx context.Context, who *Caller, principal, role string) error {
	r, err := m.RoleMapping(who, apicurioSubject(principal))
	if err != nil {
		return err
	}
	next := r.RoleMappingInput
	next.Role = role
	_, _, err = m.PutRoleMapping(ctx, who, r.Principal, next, Match{Revision: r.revision})
	if err != nil && AsError(err).Code == CodeStale {
		return fail(CodeConflict, "the role mapping was changed by somebody else at the same time")
	}
	return err
}

func (m *Manager) showApicurio(r *state.RoleMapping) ApicurioMapping {
	principal := r.Principal
	// A plain name is that of a user, unless it would be read otherwise.
	if name, ok := strings.CutPrefix(principal, "user:"); ok && apicurioSubject(name) == principal {
		principal = name
	}
	return ApicurioMapping{PrincipalID: principal, Role: m.nearestRole(r.Role), PrincipalName: r.PrincipalName}
}

// nearestRole is which of the three a role comes nearest to.
func (m *Manager) nearestRole(role string) string {
	for theirs, ours := range apicurioRoles {
		if ours == role {
			return theirs
		}
	}
	actions, err := m.tryGrant(authz.Grant{Role: role, Subjects: []string{"user:x"}})
	switch {
	case err != nil:
		return "READ_ONLY"
	case actions.Has(authz.AllActions):
		return "ADMIN"
	case slices.ContainsFunc([]authz.Action{authz.Push, authz.Delete, authz.Overwrite, authz.Manage}, func(a authz.Action) bool { return actions&a != 0 }):
		return "DEVELOPER"
	}
	return "READ_ONLY"
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
