package portal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Options make a [Portal].
type Options struct {
	Config Config
	// Sessions are those of the realm, State and Policy what it knows now.
	Sessions *Sessions
	State    *state.State
	Policy   func() *authz.Policy
	// Logins gives identity tokens; nil: a device that is logged in gets an
	// access token. Service is what identity tokens are for.
	Logins  *state.Logins
	Service string
	// Manager has the operations that the pages call.
	Manager *management.Manager
	// Providers are where people can sign in.
	Providers []*authn.OIDC
	// PublicURL is the registry's address, without a slash at the end; empty:
	// that of the request, as Base has it, if its host is a trusted one.
	PublicURL string
	Base      func(*http.Request) string
	// Remote and RequestID are the client's address and the id in the access
	// log. May be nil.
	Remote    func(*http.Request) netip.Addr
	RequestID func(*http.Request) string
	// Log gets what administrators should know; nil for nowhere.
	Log *slog.Logger
	// Now replaces the clock in tests.
	Now func() time.Time
}

// Portal is the pages of a realm. It is safe for concurrent use.
type Portal struct {
	options   Options
	prefix    string
	providers []*provider
	used      usedAttempts
	// codesAsked counts by address, codesWrong by person.
	codesAsked, codesWrong counter
	polls                  polls
	waiting                waiting
	unsure                 deviceUnsure
	mux                    *http.ServeMux
	routes                 []route
}

// provider is one where people can sign in.
type provider struct {
	*authn.OIDC
	id   string // in our URLs; empty for the one without a prefix
	name string // for people
}

// New makes the portal of a realm.
func New(o Options) (*Portal, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Portal{
		options: o, prefix: o.Config.PathPrefix(), mux: http.NewServeMux(),
		codesAsked: counter{purpose: "device_code", beside: o.State}, codesWrong: counter{purpose: "user_code", beside: o.State},
	}
	for _, a := range o.Providers {
		c := a.Config()
		next := &provider{OIDC: a, id: providerID(c.Prefix), name: c.DisplayName}
		if next.name == "" {
			u, err := url.Parse(c.Issuer)
			if err != nil {
				return nil, err
			}
			next.name = u.Host
		}
		if slices.ContainsFunc(p.providers, func(other *provider) bool { return other.id == next.id }) {
			return nil, fmt.Errorf("portal: the prefixes of two providers look alike in a URL: %q", c.Prefix)
		}
		p.providers = append(p.providers, next)
	}
	p.addRoutes()
	return p, nil
}

// providerID makes a part of a path of a prefix.
func providerID(prefix string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + ('a' - 'A')
		}
		return '-'
	}, prefix)
	return strings.Trim(id, "-")
}

// provider returns the provider with an id, nil if there is none.
func (p *Portal) provider(id string) *provider {
	for _, found := range p.providers {
		if found.id == id {
			return found
		}
	}
	return nil
}

// Serves reports whether a path is the portal's.
func (p *Portal) Serves(path string) bool {
	return strings.HasPrefix(path, p.prefix) || path+"/" == p.prefix
}

// ServeHTTP answers everything below the prefix.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if r.URL.RawPath != "" || strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
		p.fail(&exchange{portal: p, w: w, r: r}, errNotFound)
		return
	}
	if err := admission.Check(r); err != nil {
		refused := errCrossSite
		if errors.Is(err, admission.ErrTooEarly) {
			refused = errTooEarly
		}
		p.fail(&exchange{portal: p, w: w, r: r}, refused)
		return
	}
	if r.URL.Path+"/" == p.prefix {
		http.Redirect(w, r, p.prefix, http.StatusSeeOther)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// pagesURL is the configured address of the pages, empty if there is none.
func (p *Portal) pagesURL() string { return cmp.Or(p.options.Config.URL, p.options.PublicURL) }

// base returns the address that people reach the portal by, and whether it is
// by https.
func (p *Portal) base(r *http.Request) (base string, secure bool, err error) {
	base = p.pagesURL()
	if base == "" {
		base = p.options.Base(r)
		u, err := url.Parse(base)
		if err != nil || !slices.Contains(p.options.Config.TrustedHosts, u.Host) {
			return "", false, errHost
		}
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "", false, errHost
	case u.Scheme == "https":
		return base, true, nil
	case !loopback.Is(u.Hostname()):
		return "", false, errPlain
	}
	return base, false, nil
}

// setHeaders sets what every answer has: nothing is embedded, framed, cached
// or guessed.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
}
