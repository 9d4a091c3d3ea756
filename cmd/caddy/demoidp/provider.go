// Package demoidp is a small OpenID provider in one process, for the demo and
// for tests. It speaks what the gateway and its tests need: authorization code
// with PKCE behind a login page, the password grant, refresh tokens that
// rotate, client credentials, the device flow, RS256 and ES256, key rotation,
// and RP-initiated and back-channel logout.
//
// It must never be used in production: it keeps everything in memory, compares
// passwords in clear text, does not limit guesses, trusts every client it was
// given and mints any token that the program around it asks for.
package demoidp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// User is somebody who can sign in. The name is the key of [Config.Users]; it
// becomes the claims "sub" and "preferred_username".
type User struct {
	Password string
	// Claims are added to every ID token, for example "groups".
	Claims map[string]any
}

// Client is a program that users sign in to. The client_id is the key of
// [Config.Clients].
type Client struct {
	// Secret is the client's password. A client without one is public and
	// must use PKCE (RFC 7636) with S256.
	Secret string
	// RedirectURIs are compared as whole strings (RFC 9700 §2.1).
	RedirectURIs []string
	// PostLogoutURIs are where a browser may be sent after signing out.
	PostLogoutURIs []string
	// BackchannelURI receives logout tokens. Empty: none are sent.
	BackchannelURI string
	// Alg signs the client's ID tokens: "RS256" (if empty) or "ES256".
	Alg string
	// PasswordGrant permits grant_type=password (RFC 6749 §4.3): an ID token
	// from a shell, without a browser.
	PasswordGrant bool
}

// Config is what a provider is made of. It is not changed after [New].
type Config struct {
	// Issuer is the absolute URL, without a trailing slash, at which the
	// handler is reached. A path is allowed.
	Issuer  string
	Users   map[string]User
	Clients map[string]Client
	// Lifetime is how long ID and access tokens are valid. Zero: 5 minutes.
	Lifetime time.Duration
	// Now is the clock, for tests of expiry and skew. Nil: [time.Now].
	Now func() time.Time
}

// FaultFunc stands between a client and the provider: it returns true if it
// has answered the request itself (an outage, a redirect, garbage).
type FaultFunc func(w http.ResponseWriter, r *http.Request) (answered bool)

// Provider is the OpenID provider. It is an [http.Handler] that is safe for
// concurrent use.
type Provider struct {
	cfg   Config
	base  string // path of the issuer
	mux   *http.ServeMux
	fault atomic.Pointer[FaultFunc]

	mu       sync.Mutex
	hits     map[string]int
	keys     []signingKey
	codes    expiring[authorization]
	refresh  expiring[authorization]
	devices  expiring[*device] // by device_code
	pending  expiring[*device] // by user_code
	sessions expiring[session] // by cookie
}

// New returns a provider with fresh keys. It fails if the issuer is not a URL.
func New(c Config) (*Provider, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || strings.HasSuffix(c.Issuer, "/") {
		return nil, fmt.Errorf("issuer %q: not an absolute URL without a trailing slash", c.Issuer)
	}
	if c.Lifetime == 0 {
		c.Lifetime = 5 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Provider{cfg: c, base: u.Path, mux: http.NewServeMux(), hits: map[string]int{}}
	for path, h := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.serveDiscovery,
		"/jwks":                             p.serveKeys,
		"/auth":                             p.serveAuthorize,
		"/token":                            p.serveToken,
		"/device/auth":                      p.serveDeviceAuth,
		"/device":                           p.serveDevice,
		"/logout":                           p.serveLogout,
	} {
		p.hits[path] = 0
		p.mux.HandleFunc(p.base+path, h)
	}
	if err := p.Rotate(true); err != nil {
		return nil, err
	}
	return p, nil
}

// Issuer returns the value of the claim "iss".
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// SetFault puts f in front of every following request; nil takes it away.
func (p *Provider) SetFault(f FaultFunc) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
}

// Hits returns how often an endpoint has been asked, faults included. The path
// is relative to the issuer, for example "/jwks".
func (p *Provider) Hits(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

// ServeHTTP answers below the issuer's path.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, p.base)
	p.mu.Lock()
	if _, known := p.hits[path]; known {
		p.hits[path]++
	}
	p.mu.Unlock()
	if f := p.fault.Load(); f != nil && (*f)(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	p.mux.ServeHTTP(w, r)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// serveDiscovery answers the provider's metadata (OpenID Connect Discovery §3).
func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	iss := p.cfg.Issuer
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                iss,
		"authorization_endpoint":                iss + "/auth",
		"token_endpoint":                        iss + "/token",
		"jwks_uri":                              iss + "/jwks",
		"device_authorization_endpoint":         iss + "/device/auth",
		"end_session_endpoint":                  iss + "/logout",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"scopes_supported":                      []string{"openid", "profile", "groups"},
		"code_challenge_methods_supported":      []string{"S256"},
		"id_token_signing_alg_values_supported": []string{algRSA, algEC},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post"},
		"grant_types_supported": []string{
			"authorization_code", "refresh_token", "client_credentials", "password", deviceGrant,
		},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	})
}
