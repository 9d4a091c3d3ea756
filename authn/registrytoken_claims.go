package authn

import (
	"errors"
	"fmt"
	"time"
)

// RegistryClaims are the claims of a registry token: those of the Docker token
// specification, and who it was issued to. Times are whole seconds and the
// audience is one string, because Distribution 2 takes nothing else.
type RegistryClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"` // for registries that verify themselves; see Principal
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`

	// Access is the upper bound of what the token is good for.
	Access []Limit `json:"access"`

	// Principal is our own claim; registries ignore it.
	Principal *RegistryPrincipal `json:"principal"`
}

// RegistryPrincipal is what a registry token says about its holder, so that a
// decision needs nothing but the token and the policy.
type RegistryPrincipal struct {
	Kind          Kind     `json:"kind"`
	Name          string   `json:"name,omitempty"`
	Issuer        string   `json:"iss,omitempty"`
	Subject       string   `json:"sub,omitempty"`
	Authenticator string   `json:"by,omitempty"`
	Credential    string   `json:"with,omitempty"`
	CredentialID  string   `json:"id,omitempty"`
	Terms         string   `json:"terms,omitempty"`
	Groups        []string `json:"groups,omitempty"`
	Roles         []string `json:"roles,omitempty"`
	GroupsUnread  bool     `json:"groups_unread,omitempty"`
	RolesUnread   bool     `json:"roles_unread,omitempty"`
	Kept          string   `json:"kept,omitempty"`
	// Claims are those that rules look at. None at all is not the same as none
	// of these: see [Principal.Claims].
	Claims map[string]any `json:"claims,omitzero"`
	// Limits are those of the credential. None at all is not the same as an
	// empty list, which allows nothing.
	Limits []Limit `json:"limits,omitzero"`
}

// RegistrySubject is what a registry that verifies a token itself calls its
// holder: a user by name, all others with their kind. No user has a name with a
// colon, see [CheckName].
func RegistrySubject(p *Principal) string {
	switch {
	case p.IsAnonymous():
		return ""
	case p.Kind == KindUser:
		return p.Name
	}
	return p.String()
}

// NewRegistryPrincipal returns the claim for a principal.
func NewRegistryPrincipal(p *Principal) *RegistryPrincipal {
	if p.IsAnonymous() {
		return &RegistryPrincipal{Kind: KindAnonymous}
	}
	return &RegistryPrincipal{
		Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, Subject: p.Subject,
		Authenticator: p.Authenticator, Credential: p.Credential, CredentialID: p.CredentialID, Terms: p.Terms,
		Groups: p.Groups, Roles: p.Roles, GroupsUnread: p.GroupsUnread, RolesUnread: p.RolesUnread, Kept: p.Kept, Claims: p.Claims, Limits: p.Limits,
	}
}

// principal returns who the token speaks of, with its access as the limit.
func (c *RegistryClaims) principal() *Principal {
	p := c.Principal
	if p.Kind == KindAnonymous {
		// Nobody else vouches for it.
		p.Authenticator = CredentialRegistryToken
	}
	return &Principal{
		Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, Subject: p.Subject,
		Groups: p.Groups, Roles: p.Roles, GroupsUnread: p.GroupsUnread, RolesUnread: p.RolesUnread, Kept: p.Kept, Claims: p.Claims,
		Authenticator: p.Authenticator, Origin: p.Credential, OriginID: p.CredentialID, OriginLimits: p.Limits, Terms: p.Terms,
		Credential: CredentialRegistryToken, CredentialID: c.ID,
		Issued: time.Unix(c.IssuedAt, 0), Expires: time.Unix(c.ExpiresAt, 0),
		Limits: c.Access,
	}
}

// validate checks the form of claims; whether they hold is another question.
func (c *RegistryClaims) validate() error {
	switch {
	case c.ExpiresAt <= 0:
		return errors.New("exp is missing")
	case c.NotBefore <= 0:
		return errors.New("nbf is missing")
	case c.IssuedAt <= 0:
		return errors.New("iat is missing")
	case c.ID == "":
		return errors.New("jti is missing")
	case c.Access == nil:
		return errors.New("access is missing")
	case c.Principal == nil:
		return errors.New("principal is missing")
	}
	switch p := c.Principal; {
	case p.Kind == KindAnonymous && p.Name == "":
	case p.Kind == KindUser, p.Kind == KindRobot, p.Kind == KindWorkload:
		if err := CheckName(p.Kind, p.Name); err != nil {
			return fmt.Errorf("principal: %w", err)
		}
	default:
		return errors.New("principal is of no known kind or has a name")
	}
	if c.Subject != RegistrySubject(&Principal{Kind: c.Principal.Kind, Name: c.Principal.Name}) {
		return errors.New("sub and principal speak of different holders")
	}
	for i := range c.Access {
		if err := validateAccess(&c.Access[i]); err != nil {
			return fmt.Errorf("access[%d]: %w", i, err)
		}
	}
	return nil
}

// validateAccess refuses all that a policy could take for more than one name.
func validateAccess(a *Limit) error {
	switch a.Type {
	case "repository":
		if !plainName(a.Name) {
			return errors.New("name is not that of a repository")
		}
	case "registry":
		if a.Name != "catalog" {
			return errors.New("name is not catalog")
		}
	default:
		return errors.New("type is unknown")
	}
	for _, action := range a.Actions {
		switch action {
		case "pull", "push", "delete":
		case "*":
			if a.Type != "registry" {
				return errors.New("an action is a wildcard")
			}
		default:
			return errors.New("an action is unknown")
		}
	}
	return nil
}

// plainName reports whether s is made of what repository names are made of
// and can't be read as a pattern. Requests are held to the full grammar.
func plainName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	separator := true // at the start, and after each '/', a name must begin
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			separator = false
		case c == '.' || c == '_' || c == '-' || c == '/':
			if separator && c == '/' || separator && i == 0 {
				return false
			}
			separator = c == '/'
		default:
			return false
		}
	}
	return !separator
}
