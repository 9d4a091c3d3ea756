package management

import "net/http"

// ownerRoutes are about who owns repositories and namespaces. A name with
// slashes has them escaped in the path: /owners/team-a%2Fapp.
func (a *API) ownerRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/owners", id: "listOwners", group: "owners", scope: ScopeOwnersRead,
			summary: "Who owns what: for administrators everything, for others what is theirs.",
			query:   append([]queryParameter{{"prefix", "Only names that begin so.", schema{"type": "string", "maxLength": 255}}}, pageParameters...),
			status:  http.StatusOK, result: of[List[*Owner]](),
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				return list(m.Owners(c.who, p, c.request.URL.Query().Get("prefix")))
			},
		},
		{
			method: http.MethodGet, path: "/owners/{repository}", id: "getOwner", group: "owners", scope: ScopeOwnersRead,
			summary: "The owner of a repository or namespace.", status: http.StatusOK, result: of[Owner](), versioned: true, fails: []Code{CodeNotFound},
			serve: func(c *call) (*answer, error) {
				o, err := m.Owner(c.who, c.path["repository"])
				if err != nil {
					return nil, err
				}
				return &answer{value: o, revision: o.revision}, nil
			},
		},
		{
			method: http.MethodPut, path: "/owners/{repository}", id: "transferOwner", group: "owners", scope: ScopeOwnersWrite,
			summary: "Gives a repository or namespace to somebody else: its owner may, and administrators.",
			body:    of[OwnerInput](), status: http.StatusOK, created: true, result: of[Owner](), versioned: true, fails: []Code{CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				o, created, err := m.TransferOwner(c.request.Context(), c.who, c.path["repository"], input[OwnerInput](c), c.match)
				if err != nil {
					return nil, err
				}
				return &answer{value: o, revision: o.revision, created: created}, nil
			},
		},
		{
			method: http.MethodDelete, path: "/owners/{repository}", id: "deleteOwner", group: "owners", scope: ScopeOwnersWrite,
			summary: "Makes a repository or namespace nobody's. For administrators.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteOwner(c.request.Context(), c.who, c.path["repository"], c.match)
			},
		},
	}
}
