package management

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// AuditEvent is something that was changed.
type AuditEvent struct {
	ID     string          `json:"id" doc:"Ids sort by time."`
	Time   time.Time       `json:"time"`
	Actor  AuditActor      `json:"actor" doc:"Who did it."`
	Action string          `json:"action" doc:"What was done, such as robot.create."`
	Object AuditObject     `json:"object" doc:"What it was done to."`
	Before json.RawMessage `json:"before,omitempty" doc:"As it was before, without secrets."`
	After  json.RawMessage `json:"after,omitempty" doc:"As it is now, without secrets."`
}

// AuditActor is who did it.
type AuditActor struct {
	Kind      string `json:"kind" doc:"user, robot, workload, api_key, bootstrap, local or system."`
	Name      string `json:"name,omitempty"`
	ID        string `json:"id,omitempty" doc:"The public id of the credential."`
	Remote    string `json:"remote,omitempty" doc:"The client's address."`
	RequestID string `json:"request_id,omitempty" doc:"The id of the request in the access log."`
}

// AuditObject is what something was done to.
type AuditObject struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// AuditQuery says which events.
type AuditQuery struct {
	PageQuery
	Actor  string // "kind:name" or a name
	Action string // "robot.create", or "robot." for all about robots
	Object string // the id or the name
	Since  time.Time
	Until  time.Time
}

// auditLook is how many events are looked at for one page: a filter that finds
// little must not read everything at once.
const auditLook = 5000

// Audit lists events, the newest first. A page may be empty and have a next
// one, where the filter has found nothing yet.
func (m *Manager) Audit(ctx context.Context, who *Caller, q AuditQuery) (*Page[*AuditEvent], error) {
	if err := m.needsAdmin(who, ScopeAudit); err != nil {
		return nil, err
	}
	before, err := q.after()
	if err != nil {
		return nil, err
	}
	limit, err := q.limit()
	if err != nil {
		return nil, err
	}
	found := &Page[*AuditEvent]{Items: []*AuditEvent{}}
	last, err := m.scan(ctx, before, auditLook, &q, func(e *AuditEvent) bool {
		found.Items = append(found.Items, e)
		return len(found.Items) < limit
	})
	if last != "" {
		found.Next = encodeCursor(last)
	}
	return found, err
}

// ExportAudit writes events as JSON lines, the newest first.
func (m *Manager) ExportAudit(ctx context.Context, who *Caller, q AuditQuery, w io.Writer) error {
	if err := m.needsAdmin(who, ScopeAudit); err != nil {
		return err
	}
	lines := json.NewEncoder(w)
	var failed error
	const all = 1 << 62
	_, err := m.scan(ctx, "", all, &q, func(e *AuditEvent) bool {
		failed = lines.Encode(e)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

// scan gives the events that the query is about, from one on, until found
// says that it is enough or so many were looked at. It returns the id of the
// last one that was looked at, "" if there are no more.
func (m *Manager) scan(ctx context.Context, before string, most int, q *AuditQuery, found func(*AuditEvent) bool) (last string, err error) {
	const batch = 500
	for looked := 0; looked < most; {
		events, err := m.state.Events(ctx, before, batch)
		if err != nil {
			return "", err
		}
		for i := range events {
			e := &events[i]
			if !q.Since.IsZero() && e.Time.Before(q.Since) {
				return "", nil
			}
			if q.matches(e) && !found(showEvent(e)) {
				return e.ID, nil
			}
			before = e.ID
		}
		if looked += len(events); len(events) < batch {
			return "", nil
		}
	}
	return before, nil
}

func (q *AuditQuery) matches(e *state.Event) bool {
	switch {
	case !q.Until.IsZero() && !e.Time.Before(q.Until),
		q.Actor != "" && q.Actor != e.Actor.Name && q.Actor != e.Actor.String(),
		q.Object != "" && q.Object != e.Object.ID && q.Object != e.Object.Name:
		return false
	case strings.HasSuffix(q.Action, "."):
		return strings.HasPrefix(e.Action, q.Action)
	}
	return q.Action == "" || q.Action == e.Action
}

func showEvent(e *state.Event) *AuditEvent {
	return &AuditEvent{
		ID: e.ID, Time: e.Time, Actor: AuditActor(e.Actor), Action: e.Action, Object: AuditObject(e.Object), Before: e.Before, After: e.After,
	}
}

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
