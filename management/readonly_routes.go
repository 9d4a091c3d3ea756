package management

import "net/http"

// readOnlyRoutes are about the read-only switches.
func (a *API) readOnlyRoutes() []route {
	m := a.manager
	get := func(c *call) (*answer, error) {
		r, err := m.ReadOnly(c.who, c.path["name"])
		if err != nil {
			return nil, err
		}
		return &answer{value: r, revision: r.revision}, nil
	}
	put := func(c *call) (*answer, error) {
		r, err := m.SetReadOnly(c.request.Context(), c.who, c.path["name"], input[ReadOnlyInput](c), c.match)
		if err != nil {
			return nil, err
		}
		return &answer{value: r, revision: r.revision}, nil
	}
	return []route{
		{
			method: http.MethodGet, path: "/read-only", id: "getReadOnly", group: "settings", scope: ScopeSettingsRead,
			summary: "Whether the whole registry is read-only.", status: http.StatusOK, result: of[ReadOnly](), versioned: true,
			fails: []Code{CodeForbidden}, serve: get,
		},
		{
			method: http.MethodPut, path: "/read-only", id: "setReadOnly", group: "settings", scope: ScopeSettingsWrite,
			summary: "Makes the whole registry read-only, or ends it. For administrators.",
			body:    of[ReadOnlyInput](), status: http.StatusOK, result: of[ReadOnly](), versioned: true, fails: []Code{CodeForbidden, CodeConflict}, serve: put,
		},
		{
			method: http.MethodGet, path: "/projects/{name}/read-only", id: "getProjectReadOnly", group: "projects", scope: ScopeSettingsRead,
			summary: "Whether a project, also a declared one, is switched to read-only.", status: http.StatusOK, result: of[ReadOnly](), versioned: true,
			fails: []Code{CodeNotFound}, serve: get,
		},
		{
			method: http.MethodPut, path: "/projects/{name}/read-only", id: "setProjectReadOnly", group: "projects", scope: ScopeSettingsWrite,
			summary: "Makes a project that you manage read-only, or ends it.",
			body:    of[ReadOnlyInput](), status: http.StatusOK, result: of[ReadOnly](), versioned: true, fails: []Code{CodeNotFound, CodeConflict}, serve: put,
		},
	}
}
