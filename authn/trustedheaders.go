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

// CredentialHeader is the [Principal.Credential] of who a trusted proxy named.
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
	// An empty header says that there are none, a missing one says nothing.
	_, groups := h[t.groups]
	_, roles := h[t.roles]
	p.GroupsUnread, p.RolesUnread = !groups, !roles && t.roles != ""
	return p, nil
}

// AmbientRoles implements [RoleSource] where the proxy says roles and no name:
// they are those of whoever proves himself otherwise.
func (t *TrustedHeaders) AmbientRoles(e *Evidence) ([]string, error) {
	if t.user != "" || e == nil || !t.Trusts(e) {
		return nil, nil
	}
	if err := t.unambiguous(e.Header); err != nil {
		return nil, err
	}
	return t.list(e.Header, t.roles)
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
