package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// The headers that Apicurio Registry, Gitea behind a proxy and others know.
const (
	defaultUserHeader   = "X-Forwarded-User"
	defaultKindHeader   = "X-Registry-Kind"
	defaultEmailHeader  = "X-Forwarded-Email"
	defaultGroupsHeader = "X-Forwarded-Groups"
	defaultRoleHeader   = "X-Registry-Role"
)

// IdentityHeaders tell what is behind the gateway who sends a request. It
// believes them, so that nobody but the gateway may send them. The nil pointer
// sends none.
type IdentityHeaders struct {
	user, kind, email, groups, role string // canonical; empty for none
	roles                           []roleValue
	names                           map[string]bool // in the form of headerAlias
}

type roleValue struct {
	value    string
	subjects *authz.SubjectSet
}

// identityHeaderName takes names that [passesHeader] never lets clients send.
var identityHeaderName = regexp.MustCompile(`\A(?:X|Remote)(?:-[A-Za-z0-9]+)+\z`)

// NewIdentityHeaders compiles the setting; it may be nil.
func NewIdentityHeaders(c *caddyfile.IdentityHeaders) (*IdentityHeaders, error) {
	if c == nil {
		return nil, nil
	}
	h := &IdentityHeaders{names: map[string]bool{}}
	for _, setting := range []struct {
		to          *string
		name, value string
	}{
		{&h.user, "user", cmp.Or(c.User, defaultUserHeader)},
		{&h.kind, "kind", cmp.Or(c.Kind, defaultKindHeader)},
		{&h.email, "email", cmp.Or(c.Email, defaultEmailHeader)},
		{&h.groups, "groups", cmp.Or(c.Groups, defaultGroupsHeader)},
		{&h.role, "role", cmp.Or(c.Role, defaultRoleHeader)},
	} {
		if setting.value == "off" {
			continue
		}
		name := http.CanonicalHeaderKey(setting.value)
		if !identityHeaderName.MatchString(name) || passesHeader(name, true) {
			return nil, fmt.Errorf("%s %q: want a header of its own that begins with X- or Remote-", setting.name, setting.value)
		}
		if h.names[headerAlias(name)] {
			return nil, fmt.Errorf("%s: header %s is used twice", setting.name, name)
		}
		*setting.to, h.names[headerAlias(name)] = name, true
	}
	for _, r := range c.RoleValues {
		subjects, err := authz.NewSubjectSet(r.Subjects)
		if err != nil {
			return nil, fmt.Errorf("role_value %s: %w", r.Value, err)
		}
		if !plainHeaderValue(r.Value) || len(r.Subjects) == 0 {
			return nil, fmt.Errorf("role_value %q: want a word and at least one subject", r.Value)
		}
		h.roles = append(h.roles, roleValue{r.Value, subjects})
	}
	return h, nil
}

// Keep is what a registry token has to carry for the headers, and besides the
// given claims.
func (h *IdentityHeaders) Keep(claims []string) authz.Keep {
	var k authz.Keep
	if h != nil {
		k.Groups = h.groups != ""
		if h.email != "" {
			k.Claims = []string{"email", "email_verified"}
		}
	}
	k.Claims = append(k.Claims, claims...)
	if h != nil {
		for _, role := range h.roles {
			k = role.subjects.Needs(k)
		}
	}
	return k
}

// Replace takes a client's credential out of a request beside the registry API,
// which [Cleaning.Route] has cleaned, and tells who p is.
func (h *IdentityHeaders) Replace(r *http.Request, p *authn.Principal, policy *authz.Policy) {
	identified(r)
	if h == nil {
		return
	}
	header := r.Header
	delete(header, "Authorization") // the headers take its place
	for name := range header {
		if isCredential(headerAlias(name)) {
			delete(header, name)
		}
	}
	h.set(header, p, policy)
}

// headerAlias is a name as servers may read it that turn headers into
// variables: X_Forwarded_User and X.Forwarded.User are X-Forwarded-User there.
func headerAlias(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '.' {
			return '-'
		}
		return r
	}, strings.ToLower(name))
}

// set tells who p is. The header of a client is removed before.
func (h *IdentityHeaders) set(header http.Header, p *authn.Principal, policy *authz.Policy) {
	if h == nil || p.IsAnonymous() {
		return
	}
	put := func(name, value string) {
		if name != "" && plainHeaderValue(value) {
			header[name] = []string{value}
		}
	}
	name := p.Name
	if p.Kind != authn.KindUser {
		name = p.String() // no user is called so: user names have no colon
	}
	put(h.user, name)
	put(h.kind, string(p.Kind))
	put(h.email, verifiedEmail(p))
	put(h.groups, strings.Join(slices.DeleteFunc(slices.Clone(p.Groups), func(g string) bool {
		return strings.Contains(g, ",") || !plainHeaderValue(g)
	}), ","))
	for i := range h.roles {
		if h.roles[i].subjects.Has(p, policy) {
			put(h.role, h.roles[i].value)
			break
		}
	}
}

// verifiedEmail is the e-mail address, unless the provider says that it has
// not checked it.
func verifiedEmail(p *authn.Principal) string {
	if verified, ok := p.Claim("email_verified"); ok && verified != true && verified != "true" {
		return ""
	}
	v, _ := p.Claim("email")
	email, _ := v.(string)
	return email
}

// plainHeaderValue reports whether a header can say it and all read it alike.
func plainHeaderValue(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
