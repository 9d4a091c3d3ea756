package management

import "net/http"

// signingRoutes are about the keys of registry tokens. All are for
// administrators.
func (a *API) signingRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/signing-keys", id: "listSigningKeys", group: "signing-keys", scope: ScopeSigningRead,
			summary: "The keys that registry tokens are signed with.", status: http.StatusOK, result: of[SigningKeyList](),
			fails: []Code{CodeForbidden, CodeUnavailable},
			serve: func(c *call) (*answer, error) {
				keys, err := m.SigningKeys(c.who)
				return &answer{value: keys}, err
			},
		},
		{
			method: http.MethodPost, path: "/signing-keys/rotate", id: "rotateSigningKeys", group: "signing-keys", scope: ScopeSigningWrite,
			summary: "Publishes a new key, which takes over when all had the time to fetch it. Tokens in circulation stay good.",
			status:  http.StatusOK, result: of[SigningKeyList](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				keys, err := m.RotateSigningKeys(c.request.Context(), c.who)
				return &answer{value: keys}, err
			},
		},
		{
			method: http.MethodPost, path: "/signing-keys/revoke-all", id: "revokeSigningKeys", group: "signing-keys", scope: ScopeSigningWrite,
			summary: "Replaces all keys at once, after one has leaked. Every registry token is refused from now on.",
			status:  http.StatusOK, result: of[SigningKeyList](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				keys, err := m.RevokeSigningKeys(c.request.Context(), c.who)
				return &answer{value: keys}, err
			},
		},
	}
}
