package authn

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Kind says what sort of principal a request comes from.
type Kind string

// The kinds of principal. A workload is a CI job or a service account that
// proved itself with an OIDC token of its own.
const (
	KindAnonymous Kind = "anonymous"
	KindUser      Kind = "user"
	KindRobot     Kind = "robot"
	KindWorkload  Kind = "workload"
)

// Principal is who a request comes from. It is immutable once an
// authenticator has returned it: several requests may share one.
type Principal struct {
	// Kind is what sort of principal this is.
	Kind Kind

	// Name is how policies call it: the user name of a person, the name of
	// a robot without any login prefix, the configured name of a workload.
	// Empty for the anonymous principal.
	Name string

	// Issuer and Subject are the identity at an OIDC provider ("iss", "sub").
	// Names may change, these do not. Empty where no provider is involved.
	Issuer  string
	Subject string

	// FormerSubject is by which subject the same person was known before, if
	// that may be; Since is from when on at the earliest. Empty where there is
	// no such thing, and not part of an identity.
	FormerSubject string
	Since         time.Time

	// Groups and Roles as the credential, or the directory behind it, says.
	Groups []string
	Roles  []string

	// GroupsUnread and RolesUnread say that the credential does not tell all of
	// them: the claim is missing, or in a form that cannot be read. Deny rules
	// that name groups or roles hold then.
	GroupsUnread, RolesUnread bool

	// Kept stands for the choice of groups and roles that a registry token
	// carries, as a policy chose them; empty for every other credential.
	Kept string

	// HeaderRoles are what a trusted proxy says with each request, however
	// the principal proved itself.
	HeaderRoles []string
	// HeaderRolesUnread says that the request shows no such roles, not even
	// an empty list: it came by another way than the proxy's.
	HeaderRolesUnread bool

	// Claims are the verified claims of the token, for policies that look at
	// them. Read-only; nil where there was no token.
	Claims map[string]any

	// Authenticator is the name, within the realm, of the authenticator that
	// vouches for this principal, for example "robots" or
	// "oidc:https://sso.example.com".
	Authenticator string

	// Credential is the kind of credential that was shown ("id_token",
	// "robot_secret", "registry_token" …), CredentialID its public
	// identifier (a jti, the id part of a secret). Both are safe to log.
	Credential   string
	CredentialID string

	// Origin and OriginID are Credential and CredentialID of what a registry
	// token was exchanged for, so that withdrawing a secret also ends the
	// tokens that it was used to get. Empty for every other credential.
	Origin   string
	OriginID string

	// OriginLimits are the [Principal.Limits] of that credential.
	OriginLimits []Limit

	// Terms identify the settings by which an authenticator took the
	// credential, so that a [Rechecker] can tell when they have changed since.
	// Empty where it has no use for them.
	Terms string

	// Issued is when the credential was issued. Zero: not known.
	Issued time.Time

	// AsOf is the sequence number up to which the gateway that issued the
	// credential knew the changes of the state. 0: it does not say.
	AsOf uint64
	// History is that of the store which AsOf is a number of: another one after a
	// restore, in which the same number says nothing.
	History int64

	// Proven is when the credential was checked, if that is remembered for a
	// while. Zero: just now.
	Proven time.Time

	// Expires is when the credential stops to be valid. Zero: never.
	Expires time.Time

	// Limits bound what may be done with the credential, whatever the
	// principal itself is granted. Nil means no bound of its own; an empty
	// list that is not nil allows nothing.
	Limits []Limit
}

// Limit is one entry of a credential's upper bound, in the vocabulary of the
// Docker token specification: type "repository" or "registry", a name or
// repository pattern, and action names.
type Limit struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// Unscoped returns the principal as it was when it got its registry token: what
// the token was asked for does not bound it, what its credential was good for
// does. With every other credential it is the principal itself.
func (p *Principal) Unscoped() *Principal {
	if p == nil || p.Credential != CredentialRegistryToken {
		return p
	}
	own := *p
	own.Limits = p.OriginLimits
	return &own
}

// Anonymous is the principal of a request without any credential.
var Anonymous = &Principal{Kind: KindAnonymous}

// IsAnonymous reports whether nobody was authenticated.
func (p *Principal) IsAnonymous() bool { return p == nil || p.Kind == KindAnonymous }

// String returns "kind:name", the form in which policies, log lines and
// messages name a principal, for example "robot:ci".
func (p *Principal) String() string {
	if p.IsAnonymous() {
		return string(KindAnonymous)
	}
	return string(p.Kind) + ":" + p.Name
}

// Claim returns the claim at a dotted path such as "realm_access.roles".
// A claim whose own name contains dots ("https://example.com/groups") is
// found under its full name first.
func (p *Principal) Claim(path string) (any, bool) { return LookupClaim(p.Claims, path) }

// LookupClaim returns the value at a dotted path in a set of claims, taking
// the longest literal key at every level, so that names which contain dots
// are found as well.
func LookupClaim(claims map[string]any, path string) (any, bool) {
	if v, ok := claims[path]; ok {
		return v, true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		nested, ok := claims[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := LookupClaim(nested, path[i+1:]); ok {
			return v, true
		}
	}
	return nil, false
}

// ClaimStrings returns a claim as a list: a string becomes a list of one, an
// array its string members. Anything else is no list.
func ClaimStrings(v any) []string {
	switch v := v.(type) {
	case string:
		if strings.TrimSpace(v) == "" {
			return nil
		}
		return []string{v}
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok && s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// Identity is who a principal is for good: issuer and subject where there is a
// provider, whatever the name is at the moment, else the kind and the name.
// It is comparable.
type Identity struct {
	Kind    Kind
	Issuer  string
	Subject string
	Name    string // empty where Subject is given
}

// Identity returns who the principal is for good.
func (p *Principal) Identity() Identity {
	if p.IsAnonymous() {
		return Identity{Kind: KindAnonymous}
	}
	if p.Kind == KindUser && p.Subject != "" {
		return Identity{Kind: p.Kind, Issuer: p.Issuer, Subject: p.Subject}
	}
	return Identity{Kind: p.Kind, Name: p.Name}
}

// ID returns a short text that stands for the identity, safe in a URL.
func (i Identity) ID() string {
	h := sha256.New()
	for _, part := range []string{string(i.Kind), i.Issuer, i.Subject, i.Name} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:15])
	return string(i.Kind) + "-" + strings.ToLower(text)
}
