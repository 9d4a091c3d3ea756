package management

import "net/http"

// identityTokenRoutes are about what clients keep instead of a password. They
// are got at the token endpoint and by device logins, not here.
func (a *API) identityTokenRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/identity-tokens", id: "listIdentityTokens", group: "tokens", scope: ScopeTokensRead,
			summary: "Your docker logins; of a key, everybody's.",
			query: append([]queryParameter{
				{"user", "The id of the user whose they are, or * for everybody's: for administrators.", schema{"type": "string", "maxLength": 128}},
			}, pageParameters...),
			status: http.StatusOK, result: of[List[*IdentityToken]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.IdentityTokens(c.who, TokenQuery{PageQuery: p, User: c.request.URL.Query().Get("user")}))
			},
		},
		{
			method: http.MethodGet, path: "/identity-tokens/{id}", id: "getIdentityToken", group: "tokens", scope: ScopeTokensRead,
			summary: "A docker login.", status: http.StatusOK, result: of[IdentityToken](), fails: []Code{CodeNotFound},
			serve: func(c *call) (*answer, error) {
				t, err := m.IdentityToken(c.who, c.path["id"])
				if err != nil {
					return nil, err
				}
				return &answer{value: t}, nil
			},
		},
		{
			method: http.MethodDelete, path: "/identity-tokens/{id}", id: "revokeIdentityToken", group: "tokens", scope: ScopeTokensWrite,
			summary: "Ends a docker login at once, with the registry tokens that it was exchanged for.", status: http.StatusNoContent,
			fails: []Code{CodeNotFound},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.RevokeIdentityToken(c.request.Context(), c.who, c.path["id"])
			},
		},
	}
}
