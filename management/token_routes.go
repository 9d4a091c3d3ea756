package management

import "net/http"

// tokenRoutes are about personal access tokens.
func (a *API) tokenRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/tokens", id: "listTokens", group: "tokens", scope: ScopeTokensRead,
			summary: "Your access tokens; of a key, everybody's.",
			query: append([]queryParameter{
				{"user", "The id of the user whose they are, or * for everybody's: for administrators.", schema{"type": "string", "maxLength": 128}},
			}, pageParameters...),
			status: http.StatusOK, result: of[List[*AccessToken]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Tokens(c.who, TokenQuery{PageQuery: p, User: c.request.URL.Query().Get("user")}))
			},
		},
		{
			method: http.MethodPost, path: "/tokens", id: "createToken", group: "tokens", scope: ScopeTokensWrite, once: true,
			summary: "Makes an access token for yourself. It is shown this once. One that is made with another is good for no more and no longer.",
			body:    of[NewToken](), status: http.StatusCreated, result: of[TokenWithSecret](), versioned: true,
			fails: []Code{CodeForbidden, CodeExists, CodeConflict},
			serve: func(c *call) (*answer, error) {
				t, err := m.CreateToken(c.request.Context(), c.who, input[NewToken](c))
				if err != nil {
					return nil, err
				}
				return &answer{value: t, revision: t.revision, location: "/tokens/" + t.ID}, nil
			},
			location: func(v any) string {
				if t, ok := v.(*TokenWithSecret); ok {
					return "/tokens/" + t.ID
				}
				return ""
			},
		},
		{
			method: http.MethodGet, path: "/tokens/{id}", id: "getToken", group: "tokens",
			summary: "An access token. Tokens may see themselves.", status: http.StatusOK, result: of[AccessToken](), versioned: true,
			fails: []Code{CodeScope, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				t, err := m.Token(c.who, c.path["id"])
				if err != nil {
					return nil, err
				}
				return &answer{value: t, revision: t.revision}, nil
			},
		},
		{
			method: http.MethodDelete, path: "/tokens/{id}", id: "revokeToken", group: "tokens",
			summary: "Revokes an access token at once. Tokens may revoke themselves.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeScope, CodeNotFound},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.RevokeToken(c.request.Context(), c.who, c.path["id"], c.match)
			},
		},
	}
}
