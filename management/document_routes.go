package management

import "net/http"

// documentRoutes export and import everything at once.
func (a *API) documentRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/export", id: "export", group: "export", scope: ScopeAll,
			summary: "Everything that is stored but secrets, in the form that import takes. For administrators.",
			status:  http.StatusOK, result: of[Document](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				d, err := m.Export(c.who)
				return &answer{value: d}, err
			},
		},
		{
			method: http.MethodPost, path: "/import", id: "import", group: "export", scope: ScopeAll, maxBody: maxDocumentBody,
			summary: "Makes things as a document says, all of it or nothing; the second time it does nothing. For administrators.",
			query: []queryParameter{
				{"dry_run", "true: only say what would be done.", schema{"type": "string", "enum": []string{"true", "false"}}},
				{"prune", "true: delete what lists of the document do not have. Lists that are absent are left alone.", schema{"type": "string", "enum": []string{"true", "false"}}},
			},
			body: of[Document](), status: http.StatusOK, result: of[ImportResult](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				dry, err := flagOf(q, "dry_run")
				if err != nil {
					return nil, err
				}
				prune, err := flagOf(q, "prune")
				if err != nil {
					return nil, err
				}
				d := input[Document](c)
				r, err := m.Import(c.request.Context(), c.who, &d, ImportOptions{DryRun: dry, Prune: prune})
				return &answer{value: r}, err
			},
		},
	}
}

// maxDocumentBody is how large a document may be, in bytes: some ten thousand
// robots.
const maxDocumentBody = 16 << 20
