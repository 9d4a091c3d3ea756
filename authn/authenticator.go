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
	"time"
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
