package portal

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// SessionsName is the name by which a chain must know the sessions.
const SessionsName = "sessions"

// Sealer encrypts what is stored and must be read again. Place is where it is
// kept: it opens nowhere else.
type Sealer interface {
	Seal(value []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// sessionPlace is where the ID token of a session is kept.
func sessionPlace(id string) string { return "session/" + id + "/id_token" }

// Sessions are the browsers that people are signed in with. It is safe for
// concurrent use.
type Sessions struct {
	options  SessionOptions
	cookie   string // its name, without __Host-
	mu       sync.Mutex
	touching map[string]bool
}

// SessionOptions make [Sessions].
type SessionOptions struct {
	State *state.State
	// Policy says which claims of a user rules look at.
	Policy func() *authz.Policy
	// Sealer encrypts the provider's tokens; nil: they are not kept.
	Sealer Sealer
	// Config has the lifetimes.
	Config Config
	// Knows reports whether people can sign in with an issuer. Sessions of
	// other ones have ended; nil: all go on.
	Knows func(issuer string) bool
	// Admits refuses those whose name, groups or roles are not for users of
	// the provider that they signed in with; nil: nobody.
	Admits func(p *authn.Principal) error
	// PublicURL is what an Origin is compared with; empty: not known.
	PublicURL string
	// Log gets what goes wrong in the background; nil for nowhere.
	Log *slog.Logger
	// Now replaces the clock in tests.
	Now func() time.Time
}

// NewSessions makes the sessions of a realm.
func NewSessions(o SessionOptions) *Sessions {
	o.Config = o.Config.withDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sessions{options: o, cookie: sessionCookie, touching: map[string]bool{}}
	if realm := o.State.Realm(); realm != "default" {
		s.cookie += "_" + hashed(realm)[:8] // cookies do not know ports
	}
	return s
}

// lifetime is how long a session lasts at the longest.
func (s *Sessions) lifetime() time.Duration { return time.Duration(s.options.Config.SessionLifetime) }

// Session is a browser that somebody is signed in with.
type Session struct {
	ID     string
	Record *state.Session
	// Principal is whose it is, as of when the user was seen last.
	Principal *authn.Principal

	secret string // the cookie's value
}

// errNoSession: the request shows no session.
var errNoSession = errors.New("not signed in")

// find returns the session that a request shows.
func (s *Sessions) find(h http.Header) (*Session, error) {
	secret, present := oneCookie(h, hostPrefix+s.cookie)
	plain := false
	if !present {
		if secret, plain = oneCookie(h, s.cookie); !plain {
			return nil, errNoSession
		}
	}
	return s.bySecret(secret, plain)
}

// bySecret returns the session whose cookie has a value.
func (s *Sessions) bySecret(secret string, plain bool) (*Session, error) {
	if !isSecret(secret) {
		return nil, fmt.Errorf("%w: the session cookie is none of ours", authn.ErrInvalid)
	}
	id := hashed(secret)
	item, ok := s.options.State.Sessions.Get(id)
	if !ok || item.Value.Plain != plain {
		return nil, fmt.Errorf("%w: there is no such session any more", authn.ErrExpired)
	}
	principal, err := s.principal(item)
	if err != nil {
		return nil, err
	}
	return &Session{ID: id, Record: item.Value, Principal: principal, secret: secret}, nil
}

// principal returns whose session it is, if it goes on.
func (s *Sessions) principal(item *state.Item[state.Session]) (*authn.Principal, error) {
	v := item.Value
	if v.Ended(s.options.Now()) {
		return nil, fmt.Errorf("%w: the session has ended", authn.ErrExpired)
	}
	if s.options.Knows != nil && !s.options.Knows(v.Issuer) {
		return nil, fmt.Errorf("%w: nobody can sign in with %s any more", authn.ErrDisabled, v.Issuer)
	}
	p, err := s.options.State.Owning(v.User, v.Created)
	if err != nil {
		return nil, err
	}
	p.Authenticator, p.Credential, p.CredentialID = SessionsName, credentialSession, item.ID
	p.Issued, p.Expires = v.Created, v.Expires
	if s.options.Admits != nil {
		if err := s.options.Admits(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// client is from where a request comes.
type client struct {
	remote    netip.Addr
	agent     string
	requestID string
}

// begin makes the session of somebody who signed in just now, writes the user
// down, and ends the session that the browser had before. It returns the
// cookie's value.
// [state.ErrSpent]: the attempt was used before, here or on another gateway.
func (s *Sessions) begin(ctx context.Context, in *authn.SignedIn, a *attempt, from client, before *Session, plain bool) (string, error) {
	var secret string
	err := s.options.State.Again(ctx, func() (err error) {
		secret, err = s.tryBegin(ctx, in, a, from, before, plain)
		return err
	})
	return secret, err
}

func (s *Sessions) tryBegin(ctx context.Context, in *authn.SignedIn, a *attempt, from client, before *Session, plain bool) (string, error) {
	if s.options.Admits != nil {
		if err := s.options.Admits(in.Principal); err != nil {
			return "", err
		}
	}
	st, p, now := s.options.State, *in.Principal, s.options.Now()
	p.Claims = s.options.Policy().Relevant(&p).Claims
	p.Issued = time.Time{} // the provider has just said so
	userID, user, known, _ := st.See(&p)
	if email, ok := in.Principal.Claims["email"].(string); ok && len(email) <= 255 {
		user.Email = email
	}
	if user.Disabled { // signing in is not how an account comes back
		return "", fmt.Errorf("%w: user %s was disabled by an administrator", authn.ErrDisabled, user.Name)
	}
	user.Gone = false // the provider has just said so
	st.Barrier()
	created := now
	if user.NotBefore.After(created) { // signed out by a gateway whose clock is ahead
		created = user.NotBefore
	}
	secret := newSecret()
	session := &state.Session{
		User: userID, Issuer: p.Issuer, ProviderSession: in.Session, Plain: plain,
		Remote: from.remote.String(), Agent: short(from.agent), Created: created.UTC(), Used: now.UTC().Truncate(time.Second),
		Expires: now.Add(s.lifetime()).UTC(), Idle: time.Duration(s.options.Config.SessionIdle),
	}
	id := hashed(secret)
	if seal := s.options.Sealer; seal != nil {
		session.IDToken = seal.Seal([]byte(in.IDToken), sessionPlace(id))
		if in.RefreshToken != "" {
			user.Provider = &state.ProviderGrant{Sealed: seal.Seal([]byte(in.RefreshToken), state.ProviderPlace(userID)), Checked: now.UTC()}
		}
	}
	who := state.Actor{Kind: string(authn.KindUser), Name: p.Name, ID: id, Remote: from.remote.String(), RequestID: from.requestID}
	var tx state.Tx
	if err := st.Spend(&tx, state.SpentID("sign_in", a.Provider, hashed(a.Secret)), time.Unix(a.Started, 0).Add(attemptLife)); err != nil {
		return "", err
	}
	st.PutUser(&tx, userID, user, known) // as it was: sign-ins of one person are one after another
	state.Put(&tx, st.Sessions, id, session, state.Absent)
	tx.Note(who, "session.create", state.Object{Kind: "session", ID: id, Name: p.Name}, nil, session.View())
	for _, item := range s.surplus(userID, before, now) {
		state.Delete(&tx, st.Sessions, item.ID, store.Precondition{})
		tx.Note(who, "session.replace", state.Object{Kind: "session", ID: item.ID, Name: p.Name}, item.Value.View(), nil)
	}
	if before != nil {
		state.Delete(&tx, st.Sessions, before.ID, store.Precondition{})
		tx.Note(who, "session.replace", state.Object{Kind: "session", ID: before.ID, Name: before.Principal.Name}, before.Record.View(), nil)
	}
	return secret, st.Commit(ctx, &tx)
}

// maxSessions is how many browsers a person is signed in with at once.
const maxSessions = 30

// surplus returns the sessions of a user that make room for another one: those
// that were used longest ago.
func (s *Sessions) surplus(user string, before *Session, now time.Time) []*state.Item[state.Session] {
	var mine []*state.Item[state.Session]
	for item := range s.options.State.Sessions.All() {
		if item.Value.User == user && !item.Value.Ended(now) && (before == nil || before.ID != item.ID) {
			mine = append(mine, item)
		}
	}
	if len(mine) < maxSessions {
		return nil
	}
	slices.SortFunc(mine, func(a, b *state.Item[state.Session]) int {
		return cmp.Or(a.Value.Used.Compare(b.Value.Used), a.Value.Created.Compare(b.Value.Created))
	})
	return mine[:len(mine)-maxSessions+1]
}

// renew notes that the person has signed in again at the provider, whose
// session may be another one since: a logout there ends this one, too, and what
// was got for the session before may not be good any more.
func (s *Sessions) renew(ctx context.Context, session *Session, in *authn.SignedIn) error {
	// The session is also written when it is used, and the user when asked about.
	return s.options.State.Again(ctx, func() error {
		var tx state.Tx
		if !s.renewed(&tx, session, in) {
			return nil
		}
		return s.options.State.Commit(ctx, &tx)
	})
}

// renewed puts into tx what has changed, and reports whether anything has.
func (s *Sessions) renewed(tx *state.Tx, session *Session, in *authn.SignedIn) bool {
	st, seal := s.options.State, s.options.Sealer
	item, ok := st.Sessions.Get(session.ID)
	if !ok {
		return false
	}
	changed := false
	if in.Session != "" && in.Session != item.Value.ProviderSession {
		next := *item.Value
		next.ProviderSession = in.Session
		if seal != nil {
			next.IDToken = seal.Seal([]byte(in.IDToken), sessionPlace(session.ID))
		}
		state.Put(tx, st.Sessions, session.ID, &next, state.Unchanged(item))
		changed = true
	}
	if in.RefreshToken != "" && seal != nil {
		p := *in.Principal
		p.Claims, p.Issued = s.options.Policy().Relevant(&p).Claims, time.Time{}
		id, user, known, _ := st.See(&p)
		user.Provider = &state.ProviderGrant{Sealed: seal.Seal([]byte(in.RefreshToken), state.ProviderPlace(id)), Checked: s.options.Now().UTC()}
		st.PutUser(tx, id, user, known)
		changed = true
	}
	return changed
}

// End ends sessions, whoever they belong to.
func (s *Sessions) End(ctx context.Context, who state.Actor, action string, ended func(*state.Session, string) bool) (int, error) {
	var tx state.Tx
	n := 0
	for item := range s.options.State.Sessions.All() {
		if ended(item.Value, item.ID) {
			n++
			state.Delete(&tx, s.options.State.Sessions, item.ID, store.Precondition{})
			tx.Note(who, action, state.Object{Kind: "session", ID: item.ID}, item.Value.View(), nil)
		}
	}
	return n, s.options.State.Commit(ctx, &tx)
}

// maxTouch is how rarely the use of a session is written down at most.
const maxTouch = 5 * time.Minute

// touch notes, in the background and now and then, that a session is in use.
func (s *Sessions) touch(id string, v *state.Session) {
	now := s.options.Now()
	if now.Sub(v.Used) < min(maxTouch, v.Idle/10) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.touching[id] {
		return
	}
	s.touching[id] = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.touching, id)
		}()
		item, ok := s.options.State.Sessions.Get(id)
		if !ok {
			return
		}
		used := *item.Value
		used.Used = now.UTC().Truncate(time.Second)
		var tx state.Tx
		state.Put(&tx, s.options.State.Sessions, id, &used, state.Unchanged(item))
		if err := s.options.State.Commit(ctx, &tx); err != nil && !errors.Is(err, store.ErrConflict) {
			s.options.Log.Warn("writing that a session is in use", "error", err)
		}
	}()
}

// short bounds what a browser says of itself.
func short(agent string) string {
	const most = 200
	if len(agent) > most {
		agent = agent[:most]
	}
	return strings.ToValidUTF8(agent, "")
}

// CSRFHeader is the header in which a page of this host shows, with a request
// that changes something, that it is one.
const CSRFHeader = "X-Csrf-Token"

// credentialSession is the kind of credential that a session is.
const credentialSession = state.CredentialSession

var (
	_ authn.Authenticator = (*Sessions)(nil)
	_ authn.Ambient       = (*Sessions)(nil)
	_ authn.Rechecker     = (*Sessions)(nil)
)

// Authenticate implements [authn.Authenticator]: sessions come by cookie only.
func (s *Sessions) Authenticate(context.Context, *authn.Credential) (*authn.Principal, error) {
	return nil, authn.ErrNotMine
}

// AuthenticateAmbient implements [authn.Ambient]: a browser that is signed in
// may read, which is what the web interfaces of registries do. It may write if
// the request provably comes from a page of this host.
func (s *Sessions) AuthenticateAmbient(_ context.Context, c *authn.Credential) (*authn.Principal, error) {
	session, err := s.find(c.Evidence.Header)
	if errors.Is(err, errNoSession) {
		return nil, authn.ErrNotMine
	}
	if err != nil {
		return nil, err
	}
	if c.Evidence.Method != http.MethodGet && c.Evidence.Method != http.MethodHead && !s.sameOrigin(session, c.Evidence.Header) {
		return nil, fmt.Errorf("%w: %w: a session may not write unless a page of this host asks (Sec-Fetch-Site, Origin or %s)", authn.ErrInvalid, authn.ErrCrossSite, CSRFHeader)
	}
	s.touch(session.ID, session.Record)
	return session.Principal, nil
}

// Recheck implements [authn.Rechecker]: what a session was exchanged for ends
// with the session.
func (s *Sessions) Recheck(p *authn.Principal, _ *authn.Credential) error {
	id := p.OriginID
	if p.Origin == "" {
		id = p.CredentialID
	}
	item, ok := s.options.State.Sessions.Get(id)
	if !ok {
		return fmt.Errorf("%w: the session has ended", authn.ErrDisabled)
	}
	now, err := s.principal(item)
	if err != nil {
		return err
	}
	if now.Identity() != p.Identity() {
		return fmt.Errorf("%w: the session is somebody else's", authn.ErrDisabled)
	}
	return nil
}

// sameOrigin reports whether a request proves that a page of this host sends
// it: by what browsers say of requests and pages cannot change, or by a token
// that only pages of this host can read.
func (s *Sessions) sameOrigin(session *Session, h http.Header) bool {
	if token := h.Get(CSRFHeader); token != "" {
		return session.goodToken(token)
	}
	if site := h.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := h.Get("Origin")
	pages := cmp.Or(s.options.Config.URL, s.options.PublicURL)
	return pages != "" && origin == pages
}

// csrfToken returns the token of the session's forms.
func (s *Session) csrfToken() string {
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Session) goodToken(token string) bool {
	return hmac.Equal([]byte(token), []byte(s.csrfToken()))
}
