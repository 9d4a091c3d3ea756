package authn

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// grant is a way in which a password is exchanged for a token.
type grant interface {
	kind() Kind
	// exchange returns who it is, and when the token expires; an error that
	// is errRefused if the provider says that the password is wrong.
	exchange(ctx context.Context, user, secret string) (*Principal, time.Time, error)
}

// clientGrant has user and password be a client's (RFC 6749 §4.4).
type clientGrant struct {
	*BasicExchange
	auth string
}

func (g clientGrant) kind() Kind { return KindWorkload }

func (g clientGrant) exchange(ctx context.Context, user, secret string) (*Principal, time.Time, error) {
	tokens, err := g.request.send(ctx, url.Values{"grant_type": {"client_credentials"}}, clientAuth{g.auth, user, secret}, secret)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("client credentials: %w", err)
	}
	claims, expires, err := g.verify(ctx, tokens.AccessToken)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := checkClient(claims, user); err != nil {
		return nil, time.Time{}, err
	}
	p, err := g.ofAccessToken(claims, user)
	if err != nil {
		return nil, time.Time{}, err
	}
	p.Kind, p.Credential = KindWorkload, CredentialClientSecret
	return p, expires, g.rules.belong(p, claims)
}

// clientClaims are where providers write whose token it is: RFC 9068 §2.2,
// OpenID Connect, and those of some providers.
var clientClaims = []string{"client_id", "azp", "cid", "appid"}

// checkClient sees that a token was issued to the client that has signed in:
// the name that policies see is the one that the provider has checked.
func checkClient(claims map[string]any, client string) error {
	found := claims["sub"] == client
	for _, name := range clientClaims {
		v, present := claims[name]
		if present && v != client {
			return fmt.Errorf("%w: the provider's token was issued to another client (%s)", ErrUnavailable, name)
		}
		found = found || present
	}
	if !found {
		return fmt.Errorf("%w: the provider's token does not say to which client it was issued", ErrUnavailable)
	}
	return nil
}

// ofAccessToken makes a principal without kind and groups.
func (a *BasicExchange) ofAccessToken(claims map[string]any, name string) (*Principal, error) {
	if _, id := claims["nonce"]; id {
		return nil, fmt.Errorf("%w: the provider's access token is an ID token", ErrUnavailable)
	}
	if len(a.audiences) > 0 && !slices.ContainsFunc(ClaimStrings(claims["aud"]), func(s string) bool { return slices.Contains(a.audiences, s) }) {
		return nil, fmt.Errorf("%w: the provider's token is for another audience", ErrInvalid)
	}
	subject, _ := claims["sub"].(string)
	if len(subject) > maxSubject {
		return nil, fmt.Errorf("%w: sub is longer than %d bytes", ErrInvalid, maxSubject)
	}
	name = a.rules.prefix + name
	if err := checkUserName(name); err != nil {
		return nil, fmt.Errorf("%w: client id: %w", ErrInvalid, err)
	}
	return &Principal{Name: name, Issuer: a.rules.identity, Subject: subject, Claims: claims}, nil
}

// passwordGrant has user and password be a person's (RFC 6749 §4.3).
type passwordGrant struct {
	*BasicExchange
	PasswordGrant
	auth string
}

func (g passwordGrant) kind() Kind { return KindUser }

func (g passwordGrant) exchange(ctx context.Context, user, secret string) (*Principal, time.Time, error) {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {secret}}
	if !g.AccessToken {
		form.Set("scope", "openid")
	}
	var tokens exchangedTokens
	if err := g.failed.ask(user, secret, g.now, func() (failed bool, err error) {
		tokens, err = g.request.send(ctx, form, clientAuth{g.auth, g.ClientID, g.ClientSecret}, secret)
		return errors.Is(err, errRefused), err
	}); err != nil {
		return nil, time.Time{}, fmt.Errorf("password grant: %w", err)
	}
	token := tokens.IDToken
	if g.AccessToken {
		token = tokens.AccessToken
	}
	claims, expires, err := g.verify(ctx, token)
	if err != nil {
		return nil, time.Time{}, err
	}
	p, err := g.person(claims)
	if err != nil {
		return nil, time.Time{}, err
	}
	p.Credential, p.CredentialID = CredentialPasswordGrant, ""
	p.Expires = time.Time{} // the password does not end with the token
	return p, expires, nil
}

func (g passwordGrant) person(claims map[string]any) (*Principal, error) {
	if !g.AccessToken {
		return g.rules.principal(claims, g.now())
	}
	name, err := g.rules.name(claims)
	if err != nil {
		return nil, err
	}
	if err := checkClient(claims, g.ClientID); err != nil {
		return nil, err
	}
	p, err := g.ofAccessToken(claims, name[len(g.rules.prefix):])
	if err != nil {
		return nil, err
	}
	p.Kind = KindUser
	return p, g.rules.belong(p, claims)
}
