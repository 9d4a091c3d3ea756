package management

import (
	"encoding/json"
	"net/http"
	"strings"
)

// explainRoutes are about what the rules say.
func (a *API) explainRoutes() []route {
	m := a.manager
	text := func(name, doc string, most int) queryParameter {
		return queryParameter{name, doc, schema{"type": "string", "maxLength": most}}
	}
	what := []queryParameter{
		{"action", "What: pull, push, delete, overwrite, list or manage.", schema{"type": "string", "enum": []string{"pull", "push", "delete", "overwrite", "list", "manage", "*"}}},
		text("repository", "Where.", 255),
	}
	return []route{
		{
			method: http.MethodGet, path: "/explain", id: "explain", group: "policy", scope: ScopePolicyExplain,
			summary: "Whether somebody may do something, why, and what would change it.",
			query: append(what,
				text("principal", "Who: user:alice, robot:ci, workload:github or anonymous.", 512),
				text("groups", "Groups, with commas between them; without them those that the user was seen with last.", 1024),
				text("roles", "Roles, likewise.", 1024),
				text("claims", "Claims, as a JSON object.", 1024),
				text("tag", "The tag.", 128),
				text("remote", "The client's address. Default: yours.", 64),
			),
			status: http.StatusOK, result: of[Explanation](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				ask := ExplainQuery{
					Principal: q.Get("principal"), Groups: words(q.Get("groups")), Roles: words(q.Get("roles")),
					Action: q.Get("action"), Repository: q.Get("repository"), Tag: q.Get("tag"), Remote: q.Get("remote"),
				}
				if claims := q.Get("claims"); claims != "" {
					if err := json.Unmarshal([]byte(claims), &ask.Claims); err != nil {
						return nil, invalid("claims", "want a JSON object")
					}
				}
				x, err := m.Explain(c.who, ask)
				return &answer{value: x}, err
			},
		},
		{
			method: http.MethodGet, path: "/who-can", id: "whoCan", group: "policy", scope: ScopePolicyExplain,
			summary: "Who may do something to a repository.", query: what, status: http.StatusOK, result: of[Holders](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				x, err := m.WhoCan(c.who, q.Get("action"), q.Get("repository"))
				return &answer{value: x}, err
			},
		},
	}
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
