package management

import (
	"net/http"
	"time"
)

// auditRoutes are about what was changed.
func (a *API) auditRoutes() []route {
	m := a.manager
	filters := []queryParameter{
		{"actor", "Only what somebody did: kind:name, or the name.", schema{"type": "string", "maxLength": 512}},
		{"action", "Only this action; with a dot at the end, such as robot., all that begin so.", schema{"type": "string", "maxLength": 64}},
		{"object", "Only what was done to this id or name.", schema{"type": "string", "maxLength": 512}},
		{"since", "Only from this time on.", schema{"type": "string", "format": "date-time"}},
		{"until", "Only before this time.", schema{"type": "string", "format": "date-time"}},
	}
	return []route{
		{
			method: http.MethodGet, path: "/audit", id: "listAuditEvents", group: "audit", scope: ScopeAudit,
			summary: "What was changed, the newest first. For administrators.",
			query:   append(filters, pageParameters...), status: http.StatusOK, result: of[List[*AuditEvent]](), fails: []Code{CodeForbidden, CodeUnavailable},
			serve: func(c *call) (*answer, error) {
				q, err := auditQuery(c)
				if err != nil {
					return nil, err
				}
				return list(m.Audit(c.request.Context(), c.who, q))
			},
		},
		{
			method: http.MethodGet, path: "/audit/export", id: "exportAuditEvents", group: "audit", scope: ScopeAudit,
			summary: "The same as JSON lines, all of it.", query: filters, status: http.StatusOK, media: "application/jsonl", fails: []Code{CodeForbidden, CodeUnavailable},
			serve: func(c *call) (*answer, error) {
				q, err := auditQuery(c)
				if err != nil {
					return nil, err
				}
				// What is wrong shows on the first page, while it can be said.
				first := q
				first.Limit = 1
				if _, err := m.Audit(c.request.Context(), c.who, first); err != nil {
					return nil, err
				}
				return &answer{stream: func(w http.ResponseWriter) error {
					return m.ExportAudit(c.request.Context(), c.who, q, w)
				}}, nil
			},
		},
	}
}

func auditQuery(c *call) (AuditQuery, error) {
	p, err := c.page()
	if err != nil {
		return AuditQuery{}, err
	}
	q := c.request.URL.Query()
	var wrong problems
	instant := func(name string) (t time.Time) {
		if text := q.Get(name); text != "" {
			if t, err = time.Parse(time.RFC3339, text); err != nil {
				wrong.add(name, "want a time such as 2027-01-31T18:00:00Z")
			}
		}
		return t
	}
	out := AuditQuery{PageQuery: p, Actor: q.Get("actor"), Action: q.Get("action"), Object: q.Get("object"), Since: instant("since"), Until: instant("until")}
	return out, wrong.err()
}
