package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TrustedHeaders takes the word of a proxy in front for who somebody is: it
// reads the headers in which that proxy says so. From everybody else they are
// nothing. It is safe for concurrent use.
type TrustedHeaders struct {
	user, email, groups, roles string // canonical names, empty if not used
	separator, prefix          string
	names                      []string // all of them
	proxies                    bool
	from                       []netip.Prefix
	certificates               []certificateRule
	authorities                authorities
}

// CredentialHeader is the [Principal.Credential] of a user named by a trusted proxy.
const CredentialHeader = "trusted_header"

// maxHeaderList is how long a header with a list may be, in bytes.
const maxHeaderList = 8 << 10

// NewTrustedHeaders makes the authenticator; it reads the files of authorities.
func NewTrustedHeaders(c TrustedHeadersConfig) (*TrustedHeaders, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t := &TrustedHeaders{
		user: canonical(c.User), email: canonical(c.Email), groups: canonical(c.Groups), roles: canonical(c.Roles),
		separator: c.Separator, prefix: c.Prefix, names: c.headers(),
		proxies: c.TrustedProxies || len(c.Certificates) == 0,
	}
	if t.separator == "" {
		t.separator = ","
	}
	for _, source := range c.From {
		p, err := ParseSource(source)
		if err != nil {
			return nil, fmt.Errorf("trusted_headers: %w", err)
		}
		t.from = append(t.from, p)
	}
	var err error
	if t.certificates, err = compileIdentities(c.Certificates); err != nil {
		return nil, fmt.Errorf("trusted_headers: %w", err)
	}
	if t.authorities, err = parseAuthorities(c.Authorities); err != nil {
		return nil, fmt.Errorf("trusted_headers: %w", err)
	}
	return t, nil
}

// Headers are the names of the headers that are read, in canonical form.
func (t *TrustedHeaders) Headers() []string { return t.names }

// Facts implements [Described]. The headers may name roles only, and nobody.
func (t *TrustedHeaders) Facts() Facts {
	return Facts{Name: TrustedHeadersName, Prefix: t.prefix, People: t.user != ""}
}

// Authenticate implements [Authenticator]: who shows a credential is who that
// says.
func (t *TrustedHeaders) Authenticate(context.Context, *Credential) (*Principal, error) {
	return nil, ErrNotMine
}

// AuthenticateAmbient implements [Ambient].
func (t *TrustedHeaders) AuthenticateAmbient(_ context.Context, c *Credential) (*Principal, error) {
	if t.user == "" || !t.Trusts(c.Evidence) {
		return nil, ErrNotMine
	}
	h := c.Evidence.Header
	if err := t.unambiguous(h); err != nil {
		return nil, err
	}
	if _, named := h[t.user]; !named {
		return nil, ErrNotMine
	}
	user, err := single(h, t.user, maxUsername)
	if err != nil {
		return nil, err
	}
	if user == "" {
		return nil, fmt.Errorf("%w: header %s is empty", ErrInvalid, t.user)
	}
	email, err := single(h, t.email, maxUsername)
	if err != nil {
		return nil, err
	}
	p := &Principal{Kind: KindUser, Name: t.prefix + user, Credential: CredentialHeader}
	if err := CheckName(KindUser, p.Name); err != nil {
		return nil, fmt.Errorf("%w: header %s: %w", ErrInvalid, t.user, err)
	}
	if email != "" {
		p.Claims = map[string]any{"email": email}
	}
	if p.Groups, err = t.list(h, t.groups); err != nil {
		return nil, err
	}
	if p.Roles, err = t.list(h, t.roles); err != nil {
		return nil, err
	}
	// An empty header means none, a missing one says nothing.
	_, groups := h[t.groups]
	_, roles := h[t.roles]
	p.GroupsUnread, p.RolesUnread = !groups, !roles && t.roles != ""
	return p, nil
}

// AmbientRoles implements [RoleSource] where the proxy says roles and no name:
// they are those of whoever proves himself otherwise.
func (t *TrustedHeaders) AmbientRoles(e *Evidence) (roles []string, told bool, err error) {
	if t.user != "" {
		return nil, true, nil // those are in the principal
	}
	if e == nil || !t.Trusts(e) {
		return nil, false, nil
	}
	if err := t.unambiguous(e.Header); err != nil {
		return nil, false, err
	}
	_, told = e.Header[t.roles]
	roles, err = t.list(e.Header, t.roles)
	return roles, told, err
}

// Trusts reports whether headers count that come with this evidence.
func (t *TrustedHeaders) Trusts(e *Evidence) bool {
	if t.proxies && e.Trusted && (t.from == nil || slices.ContainsFunc(t.from, func(p netip.Prefix) bool { return p.Contains(e.Peer) })) {
		return true
	}
	if e.Certificate == nil || !t.authorities.vouch(e.Chains) {
		return false
	}
	for i := range t.certificates {
		if _, _, ok := t.certificates[i].names(e.Certificate); ok {
			return true
		}
	}
	return false
}

// unambiguous refuses another spelling of a header's name. Proxies remove the
// client's copy of X-User and may overlook X_User, which programs that know
// headers as environment variables take for the same.
func (t *TrustedHeaders) unambiguous(h http.Header) error {
	for name := range h {
		if strings.ContainsAny(name, "_.") && slices.Contains(t.names, canonical(headerAliases.Replace(name))) {
			return fmt.Errorf("%w: header %.64q is another spelling of a trusted one", ErrInvalid, name)
		}
	}
	return nil
}

var headerAliases = strings.NewReplacer("_", "-", ".", "-")

// IsHeaderAlias reports whether a header that is called name is, or could be
// taken for, one of a list of canonical names.
func IsHeaderAlias(list []string, name string) bool {
	return slices.Contains(list, name) ||
		strings.ContainsAny(name, "_.") && slices.Contains(list, canonical(headerAliases.Replace(name)))
}

func canonical(name string) string { return http.CanonicalHeaderKey(name) }

// single returns the value of a header that stands at most once.
func single(h http.Header, name string, limit int) (string, error) {
	values := h[name]
	if name == "" || len(values) == 0 {
		return "", nil
	}
	value := strings.Trim(values[0], " \t")
	var wrong error
	switch {
	case len(values) > 1:
		wrong = errors.New("given twice")
	case len(value) > limit:
		wrong = fmt.Errorf("longer than %d bytes", limit)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		wrong = errors.New("control characters, or not UTF-8")
	default:
		return value, nil
	}
	return "", fmt.Errorf("%w: header %s: %w", ErrInvalid, name, wrong)
}

// list returns the members of a header, with the prefix.
func (t *TrustedHeaders) list(h http.Header, name string) ([]string, error) {
	value, err := single(h, name, maxHeaderList)
	if err != nil || value == "" {
		return nil, err
	}
	var members []string
	for member := range strings.SplitSeq(value, t.separator) {
		if member = strings.TrimSpace(member); member != "" {
			members = append(members, t.prefix+member)
		}
	}
	return members, nil
}

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
