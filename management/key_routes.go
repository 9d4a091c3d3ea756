package management

import "net/http"

// keyRoutes are about keys of the API.
func (a *API) keyRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/keys", id: "listKeys", group: "keys", scope: ScopeKeysRead,
			summary: "The keys of this API, those of the configuration included.", query: pageParameters,
			status: http.StatusOK, result: of[List[*Key]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Keys(c.who, p))
			},
		},
		{
			method: http.MethodPost, path: "/keys", id: "createKey", group: "keys", scope: ScopeKeysWrite, once: true,
			summary: "Makes a key, which is shown this once. It is good for no more than what you show, and ends no later. The first for * ends the one of bootstrap.",
			body:    of[KeySettings](), status: http.StatusCreated, result: of[KeyWithSecret](), versioned: true,
			fails: []Code{CodeForbidden, CodeExists, CodeConflict},
			serve: func(c *call) (*answer, error) {
				k, err := m.CreateKey(c.request.Context(), c.who, input[KeySettings](c))
				if err != nil {
					return nil, err
				}
				return &answer{value: k, revision: k.revision, location: "/keys/" + k.ID}, nil
			},
			location: func(v any) string {
				if k, ok := v.(*KeyWithSecret); ok {
					return "/keys/" + k.ID
				}
				return ""
			},
		},
		{
			method: http.MethodGet, path: "/keys/{id}", id: "getKey", group: "keys", scope: ScopeKeysRead,
			summary: "A key.", status: http.StatusOK, result: of[Key](), versioned: true, fails: []Code{CodeForbidden, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				k, err := m.Key(c.who, c.path["id"])
				if err != nil {
					return nil, err
				}
				return &answer{value: k, revision: k.revision}, nil
			},
		},
		{
			method: http.MethodPatch, path: "/keys/{id}", id: "changeKey", group: "keys", scope: ScopeKeysWrite,
			summary: "Disables a key, or enables it again.", body: of[KeyInput](), patch: true,
			status: http.StatusOK, result: of[Key](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				current, err := m.Key(c.who, c.path["id"])
				if err != nil {
					return nil, err
				}
				next, err := patched(c, KeyInput{Disabled: current.Disabled})
				if err != nil {
					return nil, err
				}
				k, err := m.ChangeKey(c.request.Context(), c.who, c.path["id"], next, c.match)
				if err != nil {
					return nil, err
				}
				return &answer{value: k, revision: k.revision}, nil
			},
		},
		{
			method: http.MethodDelete, path: "/keys/{id}", id: "deleteKey", group: "keys", scope: ScopeKeysWrite,
			summary: "Deletes a key. It ends at once.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteKey(c.request.Context(), c.who, c.path["id"], c.match)
			},
		},
	}
}
