package management

import (
	"net/http"
	"net/url"
)

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
