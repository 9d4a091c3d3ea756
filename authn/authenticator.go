// Package authn answers "who is it?": it turns the credential of a request
// into a [Principal]. It knows nothing of rights and nothing of Caddy.
//
// An [Authenticator] owns one kind of credential. A [Chain] asks a list of
// them in order: a credential that is not an authenticator's own is offered
// to the next one, a credential that is its own and wrong ends the chain.
// A credential that is present and wrong is never anonymous.
package authn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// Authenticator turns one kind of credential into a principal.
// Implementations are safe for concurrent use.
type Authenticator interface {
	// Authenticate returns the principal that the credential proves,
	// [ErrNotMine] if the credential is of a kind that this authenticator
	// does not own, or any other error if it owns it and it does not hold:
	// [ErrInvalid], [ErrExpired], [ErrDisabled], [ErrForbiddenSource],
	// [ErrUnavailable] or [ErrBusy], wrapped with what went wrong in words
	// that are safe to log and never contain the credential.
	Authenticate(ctx context.Context, c *Credential) (*Principal, error)
}

// Rechecker is implemented by authenticators whose principals can be
// withdrawn while a registry token that was issued for them is still valid.
// It is called for every use of such a token: it must not block.
type Rechecker interface {
	// Recheck returns nil while the principal is still good for the client
	// that shows c, else an error as [Authenticator.Authenticate] does.
	Recheck(p *Principal, c *Credential) error
}

// Scheme is the way in which a credential reached us.
type Scheme string

// The schemes a credential may come by.
const (
	SchemeNone   Scheme = ""
	SchemeBasic  Scheme = "basic"
	SchemeBearer Scheme = "bearer"

	// SchemeRegistrySecret is a scheme of our own for companion services, see
	// [ServiceSecrets].
	SchemeRegistrySecret Scheme = "registry-secret"
)

// SchemeOwner is implemented by authenticators that own a scheme beyond Basic
// and Bearer. The others are never offered a credential of it, whatever its
// secret looks like.
type SchemeOwner interface {
	OwnsScheme(s Scheme) bool
}

// takes reports whether an authenticator may be offered a scheme.
func takes(a Authenticator, s Scheme) bool {
	if s == SchemeBasic || s == SchemeBearer {
		return true
	}
	owner, ok := a.(SchemeOwner)
	return ok && owner.OwnsScheme(s)
}

// Credential is what a client shows. Username is only a hint, except where
// the kind of secret says nothing about its owner.
type Credential struct {
	Scheme   Scheme
	Username string // of Basic and of the OAuth2 password grant
	Secret   string // password, or the bearer token

	// Remote is the client's address as the server determined it, honouring
	// trusted proxies only. IPv4-mapped addresses are unmapped.
	Remote netip.Addr

	// Evidence is what else the request shows; nil where there is no request.
	Evidence *Evidence

	// robots are what robots put before their names in the realm, as its
	// [Chain] says.
	robots *robotLogins
}

// Errors that authenticators return, wrapped with details.
var (
	// ErrNotMine: the credential is of another kind; ask the next one.
	ErrNotMine = errors.New("not a credential of this kind")
	// ErrInvalid: wrong, malformed, badly signed, or of an unknown owner.
	ErrInvalid = errors.New("invalid credential")
	// ErrExpired: it was good once.
	ErrExpired = errors.New("expired credential")
	// ErrUnconfirmed: nobody has said for too long that the user is still
	// there. It is an [ErrExpired].
	ErrUnconfirmed = fmt.Errorf("%w: the identity provider has not confirmed the user for too long", ErrExpired)
	// ErrDisabled: the principal is disabled or has been withdrawn.
	ErrDisabled = errors.New("principal disabled")
	// ErrCrossSite: what a browser sends by itself is no proof that a page of
	// this site asks. It comes with [ErrInvalid].
	ErrCrossSite = errors.New("cross-site request")
	// ErrGone: there is no such user any more. It is an [ErrDisabled].
	ErrGone = fmt.Errorf("%w: there is no such user any more", ErrDisabled)
	// ErrForbiddenSource: right, but not from this client address.
	ErrForbiddenSource = errors.New("credential not accepted from this address")
	// ErrUnavailable: it cannot be checked now (provider away, keys not
	// loaded). Clients are told to come back; this is never a "wrong".
	ErrUnavailable = errors.New("credential cannot be checked now")
	// ErrBusy: too many expensive checks are under way.
	ErrBusy = errors.New("too many credential checks under way")
	// ErrMalformed: the Authorization header itself is broken.
	ErrMalformed = errors.New("malformed authorization header")
)

// ThrottledError says that a client has failed too often with this account.
type ThrottledError struct {
	// RetryAfter is how long the client should wait.
	RetryAfter time.Duration
	// Err is why the last attempt failed.
	Err error
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed attempts, retry in %s: %v", e.RetryAfter.Round(time.Second), e.Err)
}

// Unwrap returns why the last attempt failed.
func (e *ThrottledError) Unwrap() error { return e.Err }

// GroupKeeper is implemented by authenticators that have the groups of their
// users at hand.
type GroupKeeper interface {
	// GroupsNow returns the groups that a user is in now, none if there is no
	// such user. It must not block.
	GroupsNow(p *Principal) []string
}

// Vouch reports whether somebody is still good to whom something lasting was
// issued, such as an access token. p is who that is, with the authenticator
// that saw it last, and is not shared: where that one keeps groups, p gets
// those of now. If it is not configured any more, another one that has users of
// the same issuer is asked, and it is [ErrDisabled] if there is none. Nobody
// vouches for users who have not been seen yet, and has none.
func (ch *Chain) Vouch(p *Principal, c *Credential) error {
	if p.Authenticator == "" {
		return nil
	}
	name := p.Authenticator
	a, ok := ch.byName[name]
	if !ok {
		if name, ok = ch.withUsersOf(p.Issuer); !ok {
			return fmt.Errorf("%w: authenticator %q, which knew %s, is not configured any more", ErrDisabled, p.Authenticator, p)
		}
		a = ch.byName[name]
	}
	if k, ok := a.(GroupKeeper); ok {
		p.Groups, p.GroupsUnread = k.GroupsNow(p), false
	}
	if r, ok := a.(Rechecker); ok {
		if err := r.Recheck(p, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return ch.names.check(p)
}

// withUsersOf returns the name of an authenticator that has users of an issuer.
func (ch *Chain) withUsersOf(issuer string) (name string, ok bool) {
	if issuer == "" {
		return "", false
	}
	i := slices.IndexFunc(ch.list, func(m Member) bool { return m.Identity == issuer })
	if i < 0 {
		return "", false
	}
	return ch.list[i].Name, true
}

// Roster is implemented by authenticators that have a list of all their users.
// Whoever has left the list is a different person when the name comes back.
type Roster interface {
	// Missing returns since when a user is not on the list, or was not when it
	// was looked at last; zero if the user has been on it for as long as it is
	// followed. It must not block.
	Missing(p *Principal) (since time.Time)
	// Changes counts how often somebody has left the list.
	Changes() int
}

// Reusing is implemented by authenticators of which a subject may be that of
// somebody else later.
type Reusing interface {
	MayBeReused(subject string) bool
}

// SilentFor is how long somebody may not have been seen whom nothing vouches
// for in the meantime: who comes later under the same name is a different
// person. It is the default of [RecheckConfig.SignInMaxAge].
const SilentFor = defaultSignInMaxAge

// IdentityTokensName is the name by which a chain must know the authenticator
// of identity tokens.
const IdentityTokensName = "identity_tokens"

// CredentialIdentityToken is the kind of credential that an identity token is:
// the refresh token of the Docker token protocol, which `docker login` keeps
// instead of a password.
const CredentialIdentityToken = "identity_token"

// SchemeIdentityToken is how an identity token comes: in the form of a token
// request (RFC 6749 §6) and in no other way.
const SchemeIdentityToken Scheme = "identity-token"

// TokenClient is a client that asks for an identity token or exchanges one.
type TokenClient struct {
	// Service is the registry that it is for, ClientID what the client calls
	// itself: anybody may call himself so.
	Service, ClientID string
	// Renew: the client keeps the token that the answer names, if it is
	// another one ("access_type=offline").
	Renew bool

	// Remote and Agent are the client's address and User-Agent, RequestID is
	// that of the access log.
	Remote    netip.Addr
	Agent     string
	RequestID string
}

// RecheckConfig says how people are asked about who have something that lasts:
// access tokens, docker logins, sessions.
type RecheckConfig struct {
	// How often the provider is asked whether a user is still there: an
	// identity provider with the refresh token that it gave at sign-in, a
	// directory by its service account; a negative value for never. Default:
	// 15 minutes.
	Recheck Duration `json:"recheck,omitempty"`

	// How long users who could not be asked about go on, because the provider
	// is away; a negative value: no limit. Default: 24 hours.
	RecheckGrace Duration `json:"recheck_grace,omitempty"`

	// How long users go on without a new sign-in who cannot be asked about:
	// whom the provider gave no refresh token for, or of a directory without
	// a service account; a negative value: no limit. Default: 30 days.
	SignInMaxAge Duration `json:"sign_in_max_age,omitempty"`
}

// Defaults of a [RecheckConfig].
const (
	minRecheck          = time.Second
	defaultRecheck      = 15 * time.Minute
	defaultRecheckGrace = 24 * time.Hour
	defaultSignInMaxAge = 30 * 24 * time.Hour
)

// Rechecks returns how often users are asked about, and how long they go on
// where that is not possible at the moment, and where it never is; negative:
// never and without a limit.
func (c RecheckConfig) Rechecks() (every, grace, maxAge time.Duration) {
	return c.Recheck.OrDefault(defaultRecheck), c.RecheckGrace.OrDefault(defaultRecheckGrace), c.SignInMaxAge.OrDefault(defaultSignInMaxAge)
}

func (c RecheckConfig) checkRechecks() error {
	every, _, maxAge := c.Rechecks()
	switch {
	case every >= 0 && every < minRecheck || every > 24*time.Hour:
		return fmt.Errorf("recheck %s is not between %s and 24h", every, minRecheck)
	case maxAge >= 0 && maxAge < time.Minute:
		return fmt.Errorf("sign_in_max_age %s is shorter than a minute", maxAge)
	}
	return nil
}

// Duration is a time span in a configuration.
type Duration = duration.Duration

// When a service that fails is left alone, and for how long.
const (
	breakerLimit  = 5
	breakerWindow = 30 * time.Second
	breakerPause  = 30 * time.Second
)

// breaker keeps questions away from a service that fails: after five failures
// within half a minute nothing is asked for half a minute, then one question
// at a time until one is answered. The zero value is closed, that is at work.
type breaker struct {
	mu       sync.Mutex
	failures int
	first    time.Time // of the failures
	open     time.Time // no question before; zero: closed
}

// admits reports whether a question may be asked.
func (b *breaker) admits(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.IsZero() {
		return true
	}
	if now.Before(b.open) {
		return false
	}
	b.open = now.Add(breakerPause) // the others wait for what this one finds
	return true
}

// note takes note of how a question ended; it reports whether that opened the
// breaker.
func (b *breaker) note(ok bool, now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.failures, b.open = 0, time.Time{}
		return false
	}
	if b.failures == 0 || now.Sub(b.first) > breakerWindow {
		b.failures, b.first = 0, now
	}
	b.failures++
	if b.failures < breakerLimit && b.open.IsZero() {
		return false
	}
	opened = b.open.IsZero()
	b.open = now.Add(breakerPause)
	return opened
}
