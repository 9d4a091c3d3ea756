package state

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Token is a personal access token. Its id is the public id of the secret.
type Token struct {
	User string `json:"user"` // id of the [User]
	Name string `json:"name"`
	Hash string `json:"hash"`

	// Limits are what it is good for at most; nil: for all that the user may.
	Limits []authn.Limit `json:"limits"`
	// Scopes of the management API, such as "robots:read"; none: not for it.
	Scopes []string `json:"scopes,omitempty"`
	// From are the networks it is accepted from; none: from anywhere.
	From []string `json:"from,omitempty"`

	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Disabled ends it without forgetting it.
	Disabled bool `json:"disabled,omitempty"`
}

// TokensName is the name by which a chain must know the authenticator of
// personal access tokens.
const TokensName = "access_tokens"

// CredentialToken is the kind of credential that a personal access token is.
const CredentialToken = "access_token"

// IssuedSecret implements [authn.SecretDirectory] for personal access tokens.
func (s *State) IssuedSecret(id string) (*authn.IssuedSecret, error) {
	item, ok := s.Tokens.Get(id)
	if !ok {
		return nil, fmt.Errorf("%w: no such access token", authn.ErrInvalid)
	}
	t := item.Value
	if t.Disabled {
		return nil, fmt.Errorf("%w: access token %s", authn.ErrDisabled, id)
	}
	principal, err := s.Owning(t.User, t.Created)
	if err != nil {
		return nil, err
	}
	owner := ""
	if u, ok := s.Users.Get(t.User); ok {
		owner = u.Value.Authenticator
	}
	principal.Authenticator, principal.Credential, principal.CredentialID = TokensName, CredentialToken, id
	principal.Issued, principal.Expires, principal.Limits = t.Created, t.Expires, t.Limits
	hash, err := authn.ParseHash(t.Hash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", authn.ErrInvalid, err)
	}
	from, err := sources(t.From)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", authn.ErrInvalid, err)
	}
	return &authn.IssuedSecret{Hash: hash, Principal: principal, Owner: owner, From: from, Expires: t.Expires}, nil
}

// Owning returns the user who owns something that was issued at a time, or
// [authn.ErrDisabled] if it has ended for that user.
func (s *State) Owning(user string, issued time.Time) (*authn.Principal, error) {
	item, ok := s.Users.Get(user)
	if !ok {
		return nil, fmt.Errorf("%w: the user is not known any more", authn.ErrDisabled)
	}
	u := item.Value
	if err := u.admits(issued); err != nil {
		return nil, err
	}
	return u.Principal(), nil
}

// sources parses networks, nil if there are none.
func sources(list []string) ([]netip.Prefix, error) {
	var from []netip.Prefix
	for _, text := range list {
		p, err := authn.ParseSource(text)
		if err != nil {
			return nil, err
		}
		from = append(from, p)
	}
	return from, nil
}
