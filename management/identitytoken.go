package management

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// IdentityToken is what docker and other clients keep instead of a password,
// without its secret.
type IdentityToken struct {
	ID          string        `json:"id" doc:"What logs call it." max:"64"`
	User        string        `json:"user" doc:"The id of the user whose it is." max:"128"`
	Owner       string        `json:"owner,omitempty" doc:"That user's name." max:"512"`
	Client      string        `json:"client,omitempty" doc:"What the client that got it calls itself." max:"512"`
	Service     string        `json:"service" doc:"The service that it is for." max:"512"`
	Permissions *[]Permission `json:"permissions,omitempty" doc:"What it is good for at most. Absent: for all that its owner may do."`
	Remote      string        `json:"remote,omitempty" doc:"From where it was asked for."`
	Agent       string        `json:"agent,omitempty" doc:"That client's User-Agent."`
	Origin      string        `json:"origin,omitempty" doc:"The kind of credential that it was got with, such as session, for a device login."`
	Created     time.Time     `json:"created"`
	Expires     time.Time     `json:"expires" doc:"When it ends at the latest."`
	LastUsed    *LastUsed     `json:"last_used,omitempty" doc:"When and from where it was exchanged last, as of half a minute ago."`
}

func (m *Manager) showIdentityToken(id string, t *state.IdentityToken) *IdentityToken {
	out := &IdentityToken{
		ID: id, User: t.User, Client: t.ClientID, Service: t.Service, Remote: t.Remote, Agent: t.Agent, Origin: t.Origin,
		Created: t.Created, Expires: t.Expires, LastUsed: m.lastUsed(m.state.IdentityTokens.Kind(), id),
	}
	if t.Limits != nil {
		list := append([]Permission{}, permissionsOf(t.Limits)...)
		out.Permissions = &list
	}
	if u, ok := m.state.Users.Get(t.User); ok {
		out.Owner = u.Value.Name
	}
	return out
}

// IdentityTokens lists the identity tokens that are good.
func (m *Manager) IdentityTokens(who *Caller, q TokenQuery) (*Page[*IdentityToken], error) {
	if err := needs(who, ScopeTokensRead); err != nil {
		return nil, err
	}
	var err error
	if q.User, err = m.whoseTokens(who, q.User); err != nil {
		return nil, err
	}
	now := m.now()
	tokens := func(yield func(*state.Item[state.IdentityToken]) bool) {
		for item := range m.state.IdentityTokens.All() {
			if (q.User == Everybody || item.Value.User == q.User) && !item.Value.Ended(now) && !yield(item) {
				return
			}
		}
	}
	return page(q.PageQuery, tokens,
		func(i *state.Item[state.IdentityToken]) string { return i.ID },
		func(i *state.Item[state.IdentityToken]) *IdentityToken { return m.showIdentityToken(i.ID, i.Value) })
}

// IdentityToken returns an identity token. Somebody else's does not exist for
// who is no administrator.
func (m *Manager) IdentityToken(who *Caller, id string) (*IdentityToken, error) {
	if err := needs(who, ScopeTokensRead); err != nil {
		return nil, err
	}
	item, ok := m.state.IdentityTokens.Get(id)
	if !ok || item.Value.Ended(m.now()) || !m.seesToken(who, item.Value.User) {
		return nil, noIdentityToken(id)
	}
	return m.showIdentityToken(id, item.Value), nil
}

// RevokeIdentityToken ends an identity token, and the registry tokens that it
// was exchanged for. Its client has to log in again.
func (m *Manager) RevokeIdentityToken(ctx context.Context, who *Caller, id string) error {
	if err := needs(who, ScopeTokensWrite); err != nil {
		return err
	}
	return m.again(ctx, func() error {
		item, ok := m.state.IdentityTokens.Get(id)
		if !ok || !m.seesToken(who, item.Value.User) {
			return noIdentityToken(id)
		}
		var tx state.Tx
		state.Delete(&tx, m.state.IdentityTokens, id, state.Unchanged(item))
		object := state.Object{Kind: "identity_token", ID: id, Name: m.showIdentityToken(id, item.Value).Owner}
		tx.Note(who.Actor(), "identity_token.revoke", object, item.Value.View(), nil)
		return m.commit(ctx, who, &tx, nil)
	})
}

func noIdentityToken(id string) error {
	return fail(CodeNotFound, "there is no identity token %.64q", id)
}

// identityTokenRoutes are about what clients keep instead of a password. They
// are got at the token endpoint and by device logins, not here.
func (a *API) identityTokenRoutes() []route {
	m := a.manager
	x := collection[IdentityToken]{path: "/identity-tokens", group: "tokens", read: ScopeTokensRead}
	return []route{
		x.search("listIdentityTokens", "Your docker logins; of a key, everybody's.", ofUser, func(c *call, p PageQuery) (*Page[*IdentityToken], error) {
			return m.IdentityTokens(c.who, TokenQuery{PageQuery: p, User: c.request.URL.Query().Get("user")})
		}, CodeForbidden),
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
