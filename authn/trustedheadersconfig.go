package authn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// TrustedHeadersName is the name of the authenticator for identities that a
// proxy in front has established.
const TrustedHeadersName = "trusted_headers"

// TrustedHeadersConfig says in which headers a trusted proxy names people, and
// who that proxy is.
type TrustedHeadersConfig struct {
	// The header with the user's name. Without it the headers name roles only,
	// for principals that prove themselves by another authenticator.
	User string `json:"user,omitempty"`

	// The header with the e-mail address, which rules see as `claims.email`.
	Email string `json:"email,omitempty"`

	// The header with the groups, and the one with the roles.
	Groups string `json:"groups,omitempty"`
	Roles  string `json:"roles,omitempty"`

	// What stands between groups and between roles. Default: a comma.
	Separator string `json:"separator,omitempty"`

	// Put before the names of users, groups and roles.
	Prefix string `json:"prefix,omitempty"`

	// Believe the server's `trusted_proxies`. Default: if no certificates are
	// given.
	TrustedProxies bool `json:"trusted_proxies,omitempty"`

	// Which of the trusted proxies, by the address that the connection comes
	// from, in CIDR notation or as single addresses. Default: all of them.
	From []string `json:"from,omitempty"`

	// Believe clients with a verified certificate in which one of these names
	// stands.
	Certificates []CertificateIdentity `json:"certificates,omitempty"`

	// The authorities that may have issued it, as in `mtls`. Default: all
	// that the server trusts for clients.
	Authorities []string `json:"authorities,omitempty"`
}

// reservedHeaders mean something else already.
var reservedHeaders = []string{
	"Authorization", "Cookie", "Host", "Connection", "Content-Type", "Content-Length", "Content-Range", "Range",
	"Accept", "User-Agent", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// headers are the canonical names of all headers that are read.
func (c TrustedHeadersConfig) headers() []string {
	var names []string
	for _, name := range []string{c.User, c.Email, c.Groups, c.Roles} {
		if name != "" {
			names = append(names, canonical(name))
		}
	}
	return names
}

// Validate returns what is wrong with the declaration, naming the field.
func (c TrustedHeadersConfig) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("trusted_headers: %w", fmt.Errorf(format, args...))
	}
	if c.User == "" && (c.Roles == "" || c.Email != "" || c.Groups != "") {
		return wrong("user is missing: without it only roles may be given, which are added to principals that prove themselves otherwise")
	}
	names := c.headers()
	for i, name := range names {
		if err := checkHeaderName(name); err != nil {
			return wrong("%w", err)
		}
		if slices.Contains(names[:i], name) {
			return wrong("header %s is named twice", name)
		}
	}
	if strings.ContainsFunc(c.Separator, func(r rune) bool { return r < 0x20 || r == 0x7f }) || len(c.Separator) > 8 {
		return wrong("separator %.20q: want a few printable characters", c.Separator)
	}
	for _, source := range c.From {
		if _, err := ParseSource(source); err != nil {
			return wrong("%w", err)
		}
	}
	if len(c.From) > 0 && len(c.Certificates) > 0 && !c.TrustedProxies {
		return wrong("from narrows trusted_proxies, which do not count here: write trusted_proxies, too, or leave it out")
	}
	if len(c.Authorities) > 0 && len(c.Certificates) == 0 {
		return wrong("authority is for client certificates, and no client_certificate is given")
	}
	if _, err := compileIdentities(c.Certificates); err != nil {
		return wrong("client_certificate: %w", err)
	}
	for _, identity := range c.Certificates {
		if identity.Match == "" || identity.Name != "" {
			return wrong("client_certificate %s: want a pattern for the proxy's name, and nothing else", identity.Source)
		}
	}
	return nil
}

func checkHeaderName(name string) error {
	if strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("header %.64q: want letters, digits and \"-\"", name)
	}
	if slices.Contains(reservedHeaders, name) {
		return errors.New("header " + name + " means something else")
	}
	return nil
}
