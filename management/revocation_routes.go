package management

import "net/http"

// revocationRoutes are about registry tokens that are to end early.
func (a *API) revocationRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/revocations", id: "listRevocations", group: "revocations", scope: ScopeRevocations,
			summary: "What is revoked and could still be shown. For administrators.", query: pageParameters,
			status: http.StatusOK, result: of[List[*Revocation]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Revocations(c.who, p))
			},
		},
		{
			method: http.MethodPost, path: "/revocations", id: "revoke", group: "revocations", scope: ScopeRevocations,
			summary: "Ends registry tokens that were issued: one, those of a principal, or all.",
			body:    of[RevocationInput](), status: http.StatusCreated, result: of[Revocation](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				v, err := m.Revoke(c.request.Context(), c.who, input[RevocationInput](c))
				return &answer{value: v}, err
			},
		},
	}
}
