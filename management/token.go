package management

import (
	"context"
	"iter"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// AccessToken is a personal access token as it is shown, without its secret.
type AccessToken struct {
	ID    string `json:"id" doc:"What logs call it." max:"64"`
	User  string `json:"user" doc:"The id of the user whose it is." max:"128"`
	Owner string `json:"owner,omitempty" doc:"That user's name." max:"512"`
	TokenSettings
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled,omitempty"`
	LastUsed *LastUsed `json:"last_used,omitempty" doc:"When and from where it was used last, as of half a minute ago."`

	versioned
}

// TokenSettings are what there is to say of an access token.
type TokenSettings struct {
	Name        string        `json:"name" doc:"For its owner to tell it from others." min:"1" max:"100"`
	Permissions *[]Permission `json:"permissions,omitempty" doc:"What it is good for in the registry at most. Absent: for all that its owner may do; empty: for nothing. It is never good for more than its owner may do at the time." max:"200"`
	Scopes      []string      `json:"scopes,omitempty" doc:"What it is good for in this API, such as robots:read. Absent: for nothing." max:"30"`
	From        []string      `json:"from,omitempty" doc:"The networks that it is accepted from. Absent: from anywhere." max:"100"`
	Expires     *time.Time    `json:"expires,omitempty" doc:"When it ends, to the second. Absent in an answer: never."`
}

// NewToken is an access token that is to be made.
type NewToken struct {
	TokenSettings
	Never bool `json:"never_expires,omitempty" doc:"It never ends, where the configuration allows that. Without this and without expires it ends after 30 days, or earlier where the configuration wants it."`
}

// TokenWithSecret is an access token with the secret, which is shown this once.
type TokenWithSecret struct {
	AccessToken
	Secret string `json:"secret" doc:"The token itself, shown this once." max:"128"`
}

const (
	// usualTokenLifetime is how long a token lives that says nothing about it.
	usualTokenLifetime = 30 * 24 * time.Hour
	// maxTokens is how many a user may have at once.
	maxTokens = 200
)

func (m *Manager) showToken(id string, t *state.Token, revision uint64) *AccessToken {
	out := &AccessToken{
		ID: id, User: t.User, Created: t.Created, Disabled: t.Disabled,
		TokenSettings: TokenSettings{Name: t.Name, Scopes: t.Scopes, From: t.From, Expires: timeOf(t.Expires)},
		LastUsed:      m.lastUsed(m.state.Tokens.Kind(), id), versioned: versioned{revision},
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

// userOf returns the id of the user that a caller is.
func userOf(who *Caller) (string, bool) {
	if who.Principal == nil || who.Principal.Kind != authn.KindUser {
		return "", false
	}
	return who.Principal.Identity().ID(), true
}

// seesToken reports whether the caller may list and revoke a user's tokens:
// its own, or as an administrator anybody's.
func (m *Manager) seesToken(who *Caller, user string) bool {
	own, isUser := userOf(who)
	return isUser && own == user || m.admin(who)
}

// Everybody stands for all users, in a [TokenQuery].
const Everybody = "*"

// TokenQuery says whose tokens are listed.
type TokenQuery struct {
	PageQuery
	// User is the id of a user; empty is the caller, Everybody all users.
	User string
}

// Tokens lists access tokens.
func (m *Manager) Tokens(who *Caller, q TokenQuery) (*Page[*AccessToken], error) {
	if err := needs(who, ScopeTokensRead); err != nil {
		return nil, err
	}
	var err error
	if q.User, err = m.whoseTokens(who, q.User); err != nil {
		return nil, err
	}
	tokens := func(yield func(*state.Item[state.Token]) bool) {
		for item := range m.state.Tokens.All() {
			if (q.User == Everybody || item.Value.User == q.User) && !yield(item) {
				return
			}
		}
	}
	return page(q.PageQuery, iter.Seq[*state.Item[state.Token]](tokens),
		func(i *state.Item[state.Token]) string { return i.ID },
		func(i *state.Item[state.Token]) *AccessToken { return m.showToken(i.ID, i.Value, i.Revision) })
}

// whoseTokens returns the user whose tokens are meant, as a [TokenQuery] has it,
// if the caller may see them.
func (m *Manager) whoseTokens(who *Caller, user string) (string, error) {
	own, isUser := userOf(who)
	switch {
	case user == "" && isUser:
		user = own
	case user == "":
		user = Everybody
	}
	if !m.seesToken(who, user) {
		return "", fail(CodeForbidden, "only administrators may see the tokens of others")
	}
	return user, nil
}

// Token returns an access token. Somebody else's does not exist for who is no
// administrator.
func (m *Manager) Token(who *Caller, id string) (*AccessToken, error) {
	if !isToken(who, id) {
		if err := needs(who, ScopeTokensRead); err != nil {
			return nil, err
		}
	}
	item, ok := m.state.Tokens.Get(id)
	if !ok || !m.seesToken(who, item.Value.User) {
		return nil, noToken(id)
	}
	return m.showToken(id, item.Value, item.Revision), nil
}

// RevokeToken deletes an access token. Registry tokens that it was used to get
// end at once. A token may always end itself.
func (m *Manager) RevokeToken(ctx context.Context, who *Caller, id string, match Match) error {
	if !isToken(who, id) {
		if err := needs(who, ScopeTokensWrite); err != nil {
			return err
		}
	}
	return m.again(ctx, func() error {
		item, ok := m.state.Tokens.Get(id)
		if !ok || !m.seesToken(who, item.Value.User) {
			return noToken(id)
		}
		if err := match.check(item.Revision, false); err != nil {
			return err
		}
		var tx state.Tx
		state.Delete(&tx, m.state.Tokens, id, state.Unchanged(item))
		tx.Note(who.Actor(), "token.revoke", tokenObject(id, item.Value), m.showToken(id, item.Value, 0), nil)
		return m.commit(ctx, who, &tx, nil)
	})
}

// isToken reports whether the caller shows that very token.
func isToken(who *Caller, id string) bool {
	return who.Principal != nil && who.Principal.Credential == state.CredentialToken && who.Principal.CredentialID == id
}

func tokenObject(id string, t *state.Token) state.Object {
	return state.Object{Kind: "token", ID: id, Name: t.Name}
}

func noToken(id string) error { return fail(CodeNotFound, "there is no access token %.64q", id) }

// CreateToken makes an access token for the caller, who must be a person. One
// that was made with another token is good for no more, from nowhere else and
// no longer than that.
func (m *Manager) CreateToken(ctx context.Context, who *Caller, in NewToken) (*TokenWithSecret, error) {
	if err := needs(who, ScopeTokensWrite); err != nil {
		return nil, err
	}
	if err := mayCreate(who); err != nil {
		return nil, err
	}
	user, isUser := userOf(who)
	if !isUser {
		return nil, fail(CodeForbidden, "access tokens are for people: sign in as one, or make a robot")
	}
	t, err := m.checkToken(who, in)
	if err != nil {
		return nil, err
	}
	t.User = user
	secret, stored := authn.NewSecret(authn.SecretPersonalToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	t.Hash = stored
	made := &TokenWithSecret{Secret: secret}
	err = m.counted(ctx, func() error {
		// The user's record is written each time, as it is: of two tokens that are
		// made at once one is counted by the other, and what ends all that the user
		// has misses none.
		id, u, before, _ := m.state.See(who.Principal)
		if before != nil {
			u = before.Value
		}
		m.state.Barrier()
		if err := m.state.Still(who.Principal); err != nil {
			return err
		}
		if err := m.roomForToken(t); err != nil {
			return err
		}
		t.Created = m.state.IssueTime(user, m.second())
		var tx state.Tx
		state.Put(&tx, m.state.Tokens, parsed.ID, t, state.Absent)
		m.state.PutUser(&tx, id, u, before)
		made.AccessToken = *m.showToken(parsed.ID, t, 0)
		tx.Note(who.Actor(), "token.create", tokenObject(parsed.ID, t), nil, &made.AccessToken)
		return m.commit(ctx, who, &tx, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// roomForToken returns an error if a user has as many tokens as one may have, or
// one of that name.
func (m *Manager) roomForToken(t *state.Token) error {
	count := 0
	for item := range m.state.Tokens.All() {
		if item.Value.User != t.User {
			continue
		}
		if count++; item.Value.Name == t.Name && m.alive(item.Value.Expires) {
			return fail(CodeExists, "you have an access token called %q", t.Name)
		}
	}
	if count >= maxTokens {
		return fail(CodeConflict, "you have %d access tokens: revoke some of them first", count)
	}
	return nil
}

func (m *Manager) alive(expires time.Time) bool { return expires.IsZero() || m.now().Before(expires) }

// checkToken checks the request body for a token, and that it is not more than what
// the caller shows.
func (m *Manager) checkToken(who *Caller, in NewToken) (*state.Token, error) {
	var wrong problems
	t := &state.Token{Name: in.Name, Scopes: in.Scopes, From: in.From}
	most := m.config.TokenMaxLifetime
	switch {
	case in.Never && in.Expires != nil:
		wrong.add("never_expires", "give either this or expires")
	case in.Expires != nil:
		t.Expires = in.Expires.UTC().Truncate(time.Second)
	case !in.Never:
		usual := usualTokenLifetime
		if most > 0 {
			usual = min(usual, time.Duration(most))
		}
		t.Expires = m.second().Add(usual)
		if isLasting(who) && who.expires.Before(t.Expires) && !who.expires.IsZero() {
			t.Expires = who.expires
		}
	}
	m.checkLifetime(&wrong, "expires", t.Expires, most)
	m.checkFrom(&wrong, "from", in.From)
	for i, s := range in.Scopes {
		wrong.check(at("scopes", i), CheckScope(s))
	}
	if in.Permissions != nil {
		t.Limits = append([]authn.Limit{}, limitsOf("permissions", *in.Permissions, &wrong)...)
	}
	checkPrintable(&wrong, "name", in.Name)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	m.mayHandOn(who, handed{scopes: t.Scopes, from: t.From, expires: t.Expires, owned: true}, &wrong)
	withinLimits(who, t.Limits, &wrong)
	return t, wrong.forbidden(moreThanShown)
}

// ofUser is the query parameter that says whose tokens are listed.
var ofUser = []queryParameter{
	{"user", "The id of the user whose they are, or * for everybody's: for administrators.", schema{"type": "string", "maxLength": 128}},
}

// tokenRoutes are about personal access tokens.
func (a *API) tokenRoutes() []route {
	m := a.manager
	x := collection[AccessToken]{
		path: "/tokens", variable: "id", group: "tokens", read: ScopeTokensRead,
	}
	itself := x // whose routes check the scope themselves
	itself.read = ""
	made := collection[TokenWithSecret]{
		path: "/tokens", group: "tokens", write: ScopeTokensWrite,
		name: func(t *TokenWithSecret) string { return t.ID },
	}
	return []route{
		x.search("listTokens", "Your access tokens; of a key, everybody's.", ofUser, func(c *call, p PageQuery) (*Page[*AccessToken], error) {
			return m.Tokens(c.who, TokenQuery{PageQuery: p, User: c.request.URL.Query().Get("user")})
		}, CodeForbidden),
		creating(made, "createToken", "Makes an access token for yourself. It is shown this once. One that is made with another is good for no more and no longer.",
			m.CreateToken, CodeForbidden, CodeExists, CodeConflict),
		itself.get("getToken", "An access token. Tokens may see themselves.", m.Token, CodeScope, CodeNotFound),
		itself.remove("revokeToken", "Revokes an access token at once. Tokens may revoke themselves.", m.RevokeToken, CodeScope, CodeNotFound),
	}
}
