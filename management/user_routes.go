package management

import "net/http"

// userRoutes are about the people who have been seen. All are for
// administrators.
func (a *API) userRoutes() []route {
	m := a.manager
	shown := func(u *User, err error) (*answer, error) {
		if err != nil {
			return nil, err
		}
		return &answer{value: u, revision: u.revision}, nil
	}
	set := func(disabled bool) func(c *call) (*answer, error) {
		return func(c *call) (*answer, error) {
			return shown(m.SetUserDisabled(c.request.Context(), c.who, c.path["id"], disabled, c.match))
		}
	}
	return []route{
		{
			method: http.MethodGet, path: "/users", id: "listUsers", group: "users", scope: ScopeUsersRead,
			summary: "The people who have been seen.",
			query: append([]queryParameter{
				{"q", "Only those with this text in name, address, subject or a group.", schema{"type": "string", "maxLength": 128}},
				{"disabled", "true: only those who cannot come in.", schema{"type": "string", "enum": []string{"true", "false"}}},
			}, pageParameters...),
			status: http.StatusOK, result: of[List[*User]](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				p, err := c.page()
				if err != nil {
					return nil, err
				}
				q := c.request.URL.Query()
				disabled, err := flagOf(q, "disabled")
				if err != nil {
					return nil, err
				}
				return list(m.Users(c.who, UserQuery{PageQuery: p, Text: q.Get("q"), Disabled: disabled}))
			},
		},
		{
			method: http.MethodGet, path: "/users/{id}", id: "getUser", group: "users", scope: ScopeUsersRead,
			summary: "A person.", status: http.StatusOK, result: of[User](), versioned: true, fails: []Code{CodeForbidden, CodeNotFound},
			serve: func(c *call) (*answer, error) { return shown(m.User(c.who, c.path["id"])) },
		},
		{
			method: http.MethodPost, path: "/users/{id}/disable", id: "disableUser", group: "users", scope: ScopeUsersWrite,
			summary: "Locks a user out, at once and with all that it has.", status: http.StatusOK, result: of[User](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict}, serve: set(true),
		},
		{
			method: http.MethodPost, path: "/users/{id}/enable", id: "enableUser", group: "users", scope: ScopeUsersWrite,
			summary: "Lets a user in again.", status: http.StatusOK, result: of[User](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict}, serve: set(false),
		},
		{
			method: http.MethodPost, path: "/users/{id}/sign-out", id: "signOutUser", group: "users", scope: ScopeUsersWrite,
			summary: "Ends everything that was issued to a user until now, access tokens too.", status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.SignOut(c.request.Context(), c.who, c.path["id"])
			},
		},
		{
			method: http.MethodDelete, path: "/users/{id}", id: "forgetUser", group: "users", scope: ScopeUsersWrite,
			summary: "Removes all that is known of a user, and all that it has.", status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.ForgetUser(c.request.Context(), c.who, c.path["id"])
			},
		},
	}
}
