package authn

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxCredential is how long an Authorization header, and with it any
	// token, may be, in bytes.
	MaxCredential = 16 << 10
	// maxUsername is how long a user name may be, in bytes.
	maxUsername = 255
)

// FromHeader reads the credential of a request (RFC 9110 §11.6.2, RFC 7617,
// RFC 6750 §2.1). No Authorization header, or Basic with neither user nor
// password, gives a credential of [SchemeNone]. A header that is given twice,
// is too long or is not well formed gives [ErrMalformed]; a scheme other than
// Basic, Bearer and Registry-Secret gives [ErrInvalid], for it is a credential
// that we do not accept and not the absence of one.
func FromHeader(h http.Header, remote netip.Addr) (*Credential, error) {
	c := &Credential{Remote: remote.Unmap()}
	values := h["Authorization"]
	switch {
	case len(values) == 0:
		return c, nil
	case len(values) > 1:
		return nil, fmt.Errorf("%w: given %d times", ErrMalformed, len(values))
	case len(values[0]) > MaxCredential:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, MaxCredential)
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, string(SchemeBearer)):
		c.Scheme, c.Secret = SchemeBearer, rest
		if !isToken68(rest) {
			return nil, fmt.Errorf("%w: bearer token has characters that no token has", ErrMalformed)
		}
		return c, nil
	case strings.EqualFold(scheme, string(SchemeBasic)):
		if err := c.setBasic(rest); err != nil {
			return nil, err
		}
		return c, nil
	case strings.EqualFold(scheme, string(SchemeRegistrySecret)):
		c.Scheme, c.Secret = SchemeRegistrySecret, rest
		if !isServiceSecret(rest) {
			return nil, fmt.Errorf("%w: registry secret is empty or has characters that no secret has", ErrMalformed)
		}
		return c, nil
	case !isPlainText(scheme) || !isPlainText(rest):
		return nil, fmt.Errorf("%w: control characters", ErrMalformed)
	}
	return nil, fmt.Errorf("%w: authorization scheme is neither Basic nor Bearer", ErrInvalid)
}

// setBasic fills c from the user-pass of RFC 7617 §2.
func (c *Credential) setBasic(encoded string) error {
	// The decoder skips line breaks, so they are refused before.
	if !isToken68(encoded) {
		return fmt.Errorf("%w: basic credentials are not base64", ErrMalformed)
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("%w: basic credentials are not base64", ErrMalformed)
	}
	user, password, found := strings.Cut(string(decoded), ":")
	switch {
	case !found:
		return fmt.Errorf("%w: basic credentials without a colon", ErrMalformed)
	case len(user) > maxUsername:
		return fmt.Errorf("%w: user name longer than %d bytes", ErrMalformed, maxUsername)
	case !utf8.ValidString(user) || strings.ContainsFunc(user, unicode.IsControl) || !isPlainText(password):
		return fmt.Errorf("%w: basic credentials with control characters", ErrMalformed)
	case user == "" && password == "":
		return nil // "Og==": how some clients say that they have none
	}
	c.Scheme, c.Username, c.Secret = SchemeBasic, user, password
	return nil
}

// token68 are the characters of RFC 9110 §11.2's token68 but the padding.
var token68 = func() (set [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/") {
		set[c] = true
	}
	return set
}()

// isToken68 reports whether s is a token68, the form of bearer tokens and of
// base64. A lookup for each byte: it is done for every request.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if !token68[body[i]] {
			return false
		}
	}
	return body != ""
}

// isPlainText reports whether s has no ASCII control characters. Passwords may
// be in any encoding, so nothing is said about the other bytes.
func isPlainText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// String says what kind of credential it is, and never the secret, so that a
// credential which finds its way into a log line or an error does no harm.
func (c Credential) String() string {
	if c.Scheme == SchemeNone {
		return "no credential"
	}
	return string(c.Scheme) + " credential"
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// Evidence is what a request shows besides its Authorization header. It is
// read-only and belongs to the request.
type Evidence struct {
	// Method and Header are those of the request.
	Method string
	Header http.Header

	// Certificate is the client's, verified by the server against the
	// authorities that it trusts for clients (RFC 8446 §4.4.2); nil if there
	// is none. Certificates that were only asked for and not verified are
	// never here.
	Certificate *x509.Certificate

	// Chains are the ways in which it was verified, each from Certificate to
	// an authority.
	Chains [][]*x509.Certificate

	// Peer is the address of the machine that opened the connection, which
	// may be a proxy's; Trusted says that the server counts it among its
	// trusted proxies.
	Peer    netip.Addr
	Trusted bool
}

// Ambient is implemented by authenticators that may know who sends a request
// which has no Authorization header: by a client certificate, the headers of a
// trusted proxy, or a session cookie. A [Chain] asks them, in its order, only
// where there is no such header.
type Ambient interface {
	// AuthenticateAmbient returns the principal that c.Evidence proves,
	// [ErrNotMine] if there is nothing of its kind, or another error as
	// [Authenticator.Authenticate] does. c.Evidence is never nil.
	AuthenticateAmbient(ctx context.Context, c *Credential) (*Principal, error)
}

// RoleSource is implemented by authenticators that know roles of whoever sends
// a request, however that principal proved itself.
type RoleSource interface {
	// AmbientRoles returns the roles that the evidence, which may be nil,
	// gives, and whether it tells them at all: a request that came around the
	// proxy does not. It is asked for every request and must not block.
	AmbientRoles(e *Evidence) (roles []string, told bool, err error)
}
