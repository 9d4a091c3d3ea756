// Package answer is the one table from an error to what a client is told: the
// HTTP status, the codes of the registry API, of OAuth and of the management
// API, how long to wait, and one sentence. The gateway, the token endpoint, the
// management API and the pages render its rows, so that the same refusal looks
// the same wherever somebody meets it.
package answer

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Answer is what a client is told about an error, in the words of each
// protocol. Whoever renders it takes the words of its own protocol, and the
// status, the wait and the sentence unchanged.
type Answer struct {
	// Kind is the row of the table.
	Kind Kind
	// Status is the HTTP status.
	Status int
	// Code is the error code of the registry API.
	Code Code
	// OAuth is the error code of the token endpoint (RFC 6749 §5.2).
	OAuth string
	// Problem is the code of the management API.
	Problem string
	// RetryAfter is how long a client should wait; 0: waiting does not help.
	RetryAfter time.Duration
	// Sentence tells a person what is wrong, and what to do about it. It never
	// says "try again" of what does not pass by itself.
	Sentence string
}

// Kind names a row of the table.
type Kind string

// The kinds of refusals.
const (
	// A credential that does not hold.
	Throttled    Kind = "throttled"
	Busy         Kind = "busy"
	Unchecked    Kind = "unchecked"
	Malformed    Kind = "malformed header"
	PasswordsOff Kind = "passwords off"
	Unconfirmed  Kind = "unconfirmed"
	Expired      Kind = "expired"
	CrossSite    Kind = "cross-site"
	Disabled     Kind = "disabled"
	Invalid      Kind = "invalid"
	TooEarly     Kind = "too early"

	// The gateway's own store.
	Conflict  Kind = "conflict"
	TooLarge  Kind = "too large"
	StoreFull Kind = "store full"
	StoreOnly Kind = "store read-only"
	StoreAway Kind = "store away"
	// StoreUnknown is neither made nor not made.
	StoreUnknown  Kind = "store unknown"
	StoreUnusable Kind = "store unusable"
	StoreStale    Kind = "store stale"

	// A registry request.
	Starting       Kind = "starting"
	TagBusy        Kind = "tag busy"
	RegistrySilent Kind = "registry silent"
	RegistryDown   Kind = "registry down"
	RegistryLogin  Kind = "registry asks for a login"
	RegistryToken  Kind = "registry login unavailable"
	Internal       Kind = "internal"
)

// Err returns an error that the row answers, for a package above this one that
// has a refusal of its own.
func (k Kind) Err() error { return kindError(k) }

type kindError Kind

func (e kindError) Error() string { return table[Kind(e)].Sentence }

// Of returns the row.
func (k Kind) Of() Answer {
	a := table[k]
	a.Kind = k
	return a
}

const (
	soon  = time.Second     // a turn comes up
	later = 5 * time.Second // a server comes back
)

// table has the rows. All that is wrong with an account looks the same, so
// that nobody learns which accounts exist.
var table = map[Kind]Answer{
	Throttled: {
		Status: http.StatusTooManyRequests, Code: CodeTooManyRequests, OAuth: "temporarily_unavailable", Problem: "busy",
		RetryAfter: soon, Sentence: "too many failed sign-ins: wait, and check the user name and the secret",
	},
	Busy: {
		Status: http.StatusTooManyRequests, Code: CodeTooManyRequests, OAuth: "temporarily_unavailable", Problem: "busy",
		RetryAfter: soon, Sentence: "too many sign-ins at once: try again in a moment",
	},
	Unchecked: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "credentials cannot be checked or issued at the moment: try again in a moment",
	},
	Malformed: {
		Status: http.StatusBadRequest, Code: CodeUnauthorized, OAuth: "invalid_request", Problem: "malformed",
		Sentence: "the Authorization header is malformed",
	},
	PasswordsOff: {
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, OAuth: "invalid_grant", Problem: "unauthenticated",
		Sentence: "passwords of people are switched off here: use a token of the identity provider as the password",
	},
	Unconfirmed: {
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, OAuth: "invalid_grant", Problem: "unauthenticated",
		Sentence: "your identity provider has not confirmed your account for too long: sign in with the browser again",
	},
	Expired: {
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, OAuth: "invalid_grant", Problem: "unauthenticated",
		Sentence: "the credential has expired: get a new one",
	},
	CrossSite: {
		Status: http.StatusForbidden, Code: CodeDenied, OAuth: "invalid_request", Problem: "cross-site",
		Sentence: "the browser does not say that a page of this site sends the request (Sec-Fetch-Site, Origin)",
	},
	Disabled: {
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, OAuth: "invalid_grant", Problem: "unauthenticated",
		Sentence: wrong,
	},
	Invalid: {
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, OAuth: "invalid_grant", Problem: "unauthenticated",
		Sentence: wrong,
	},
	TooEarly: {
		Status: http.StatusTooEarly, Code: CodeUnsupported, OAuth: "invalid_request", Problem: "too-early",
		Sentence: "the request was sent as TLS early data, which can be replayed: send it after the handshake",
	},

	Conflict: {
		Status: http.StatusConflict, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "conflict",
		Sentence: "it was changed by somebody else at the same time",
	},
	TooLarge: {
		Status: http.StatusRequestEntityTooLarge, Code: CodeSizeInvalid, OAuth: "invalid_request", Problem: "too-large",
		Sentence: "it is too large to be stored",
	},
	StoreFull: {
		Status: http.StatusInsufficientStorage, Code: CodeUnavailable, OAuth: "server_error", Problem: "insufficient-storage",
		Sentence: "the gateway's store is full: nothing was changed, and its administrator has to make room",
	},
	StoreOnly: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "the gateway's store is read-only at the moment: nothing was changed",
	},
	StoreAway: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "the gateway's store cannot be written at the moment: try again in a moment",
	},
	StoreUnknown: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unknown-outcome",
		RetryAfter: later, Sentence: "the gateway's store did not say whether the change was made: look before you ask again",
	},
	StoreUnusable: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "server_error", Problem: "store-unusable",
		Sentence: "the gateway cannot use its store: its administrator finds the reason in the log",
	},
	StoreStale: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "the gateway has not heard from its store for too long to accept this credential: try again in a moment",
	},

	Starting: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: 2 * time.Second, Sentence: "the gateway is starting: try again in a moment",
	},
	TagBusy: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "busy",
		RetryAfter: later, Sentence: "another push of the same tag is under way: try again when it is through",
	},
	RegistrySilent: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "the registry did not say what the decision depends on: try again in a moment",
	},
	RegistryDown: {
		Status: http.StatusBadGateway, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: later, Sentence: "the registry behind the gateway does not answer: try again in a moment",
	},
	RegistryToken: {
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, OAuth: "temporarily_unavailable", Problem: "unavailable",
		RetryAfter: soon, Sentence: "the gateway is getting a new login for the registry: try again in a moment",
	},
	RegistryLogin: {
		Status: http.StatusBadGateway, Code: CodeUnavailable, OAuth: "server_error", Problem: "internal",
		Sentence: "the gateway cannot use the registry behind it: its administrator finds the reason in the log",
	},
	Internal: {
		Status: http.StatusInternalServerError, Code: CodeUnknown, OAuth: "server_error", Problem: "internal",
		Sentence: "something went wrong; the log knows what, by the request's id",
	},
}

// wrong is the one message for every account that cannot sign in.
const wrong = "the user name, password or token is not valid"

// kinds are the rows for the errors of the packages below, the first that
// matches counts.
var kinds = []struct {
	err  error
	kind Kind
}{
	{authn.ErrBusy, Busy},
	{authn.ErrUnavailable, Unchecked},
	{authn.ErrMalformed, Malformed},
	{authn.ErrCrossSite, CrossSite}, // comes with ErrInvalid
	{admission.ErrCrossSite, CrossSite},
	{admission.ErrTooEarly, TooEarly},
	{authn.ErrUnconfirmed, Unconfirmed}, // is an ErrExpired
	{authn.ErrExpired, Expired},
	{authn.ErrDisabled, Disabled},
	{authn.ErrForbiddenSource, Invalid},
	{authn.ErrInvalid, Invalid},
	{authn.ErrNotMine, Invalid},
	{store.ErrConflict, Conflict},
	{store.ErrTooLarge, TooLarge},
	{store.ErrUnknown, StoreUnknown}, // is an ErrUnavailable
	{store.ErrStale, StoreStale},
	{store.ErrDamaged, StoreUnusable},
	{store.ErrFormat, StoreUnusable},
	{store.ErrFull, StoreFull},
	{store.ErrReadOnly, StoreOnly},
	{store.ErrUnavailable, StoreAway},
	{store.ErrClosed, StoreAway},
	{store.ErrLocked, StoreAway},
}

// Of returns the answer to an error. One that no row names is [Internal].
func Of(err error) Answer {
	if k, ok := errors.AsType[kindError](err); ok {
		return Kind(k).Of()
	}
	if e, ok := errors.AsType[*authn.ThrottledError](err); ok {
		a := Throttled.Of()
		a.RetryAfter = e.RetryAfter
		return a
	}
	if _, ok := errors.AsType[*authn.PasswordsOffError](err); ok {
		return PasswordsOff.Of()
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			a := k.kind.Of()
			if e, ok := errors.AsType[*store.ConflictError](err); ok && a.Kind == Conflict {
				a.Sentence = e.Kind + " was changed by somebody else at the same time"
			}
			return a
		}
	}
	return Internal.Of()
}

// OfCredential returns the answer to an error of an authenticator. One that no
// row names means that the credential does not hold.
func OfCredential(err error) Answer {
	if a := Of(err); a.Kind != Internal {
		return a
	}
	return Invalid.Of()
}

// SetRetryAfter sets the header that tells a client how long to wait, at least
// a second; it sets none if waiting does not help.
func SetRetryAfter(h http.Header, wait time.Duration) {
	if wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
}
