package authn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// BasicExchange authenticates user names and passwords by exchanging them for
// a token at an identity provider: as the credentials of a client, as a
// person's, or both. The token is verified as any other, and not handed on. It
// is safe for concurrent use.
type BasicExchange struct {
	verifier tokenVerifier
	rules    claimRules
	request  exchangeRequest
	outcomes *outcomes
	clients  *outcomes // where passwords are off
	grants   []grant
	failed   failedBindBudget // of people's passwords
	now      func() time.Time

	audiences     []string
	cache, offset time.Duration
}

// The values of [Principal.Credential] of this authenticator.
const (
	CredentialClientSecret  = "client_secret"
	CredentialPasswordGrant = "password_grant"
)

// NewBasicExchange makes the authenticator of a provider. It does not touch
// the network: see [BasicExchange.Start].
func NewBasicExchange(c BasicExchangeConfig, o Options) (*BasicExchange, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	timeout := c.Timeout.OrDefault(providerTimeout)
	connections := c.Connections
	if connections == 0 {
		connections = defaultExchanges
	}
	client := providerClient(o.Transport)
	client.Timeout = timeout
	a := &BasicExchange{
		now: o.Now, audiences: slices.Clone(c.Audiences),
		cache: c.Cache.OrDefault(defaultExchangeCache), offset: c.CacheOffset.OrDefault(defaultExchangeOffset),
		outcomes: newOutcomes(connections, 3*timeout, c.CacheFailures.OrDefault(defaultExchangeFailures), o.Now),
		clients:  newOutcomes(connections, 3*timeout, c.CacheFailures.OrDefault(defaultExchangeFailures), o.Now),
		failed:   newFailedBindBudget(),
		request:  newExchangeRequest(c, client, o.Now, o.Logger),
		verifier: newTokenVerifier(issuerSettings{
			name: BasicExchangeName + ":" + c.Issuer, issuer: c.Issuer, algorithms: c.Algorithms,
			maxAge: c.JWKSMaxAge, grace: c.JWKSGrace, insecure: c.InsecureIssuer,
		}, o),
	}
	rules := OIDCConfig{
		Issuer: c.Issuer, Username: c.Username, Groups: c.Groups, Roles: c.Roles, Prefix: c.Prefix,
		RequiredGroups: c.RequiredGroups, ClockSkew: c.ClockSkew,
	}
	if c.PasswordGrant != nil {
		rules.ClientID = c.PasswordGrant.ClientID
	}
	a.rules = newClaimRules(rules)
	a.rules.unread = newUnreadNotice(o.Logger.With(zap.String("issuer", c.Issuer)))
	a.verifier.types = []string{"at+jwt", "application/at+jwt"} // RFC 9068 §2.1
	a.verifier.judge = func(claims map[string]any, now time.Time) (verdict, error) {
		expires, err := a.rules.checkTimes(claims, now)
		return verdict{principal: &Principal{Claims: claims, Expires: expires}, until: expires}, err
	}
	if c.UsesClientCredentials() {
		a.grants = append(a.grants, clientGrant{a, c.ClientAuth})
	}
	if c.PasswordGrant != nil {
		a.grants = append(a.grants, passwordGrant{a, *c.PasswordGrant, c.ClientAuth})
	}
	return a, nil
}

// Name is how a realm calls this authenticator.
func (a *BasicExchange) Name() string { return a.verifier.name }

// Start fetches the provider's keys in the background.
func (a *BasicExchange) Start(ctx context.Context) { a.verifier.Start(ctx) }

// Authenticate implements [Authenticator]. It owns every password by Basic
// that has not the shape of a token, of a secret of ours, or a login name of
// robots. While the provider is away the answer is [ErrUnavailable].
func (a *BasicExchange) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !isPassword(c) {
		return nil, ErrNotMine
	}
	return a.outcomes.ask(ctx, c, func(ctx context.Context) (*Principal, time.Time, error) {
		return a.exchange(ctx, a.grants, c)
	})
}

// exchange asks with one grant after the other. The password is wrong when
// all of them say so.
func (a *BasicExchange) exchange(ctx context.Context, grants []grant, c *Credential) (*Principal, time.Time, error) {
	var refusals []error
	for _, g := range grants {
		p, expires, err := g.exchange(ctx, c.Username, c.Secret)
		if err == nil {
			p.Authenticator = a.Name()
			until := a.now().Add(a.cache)
			if end := expires.Add(-a.offset); end.Before(until) {
				until = end
			}
			return p, until, nil
		}
		if !errors.Is(err, errRefused) {
			return nil, time.Time{}, err
		}
		refusals = append(refusals, err)
	}
	return nil, time.Time{}, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(refusals...))
}

// verify returns the claims of a token that the provider has given.
func (a *BasicExchange) verify(ctx context.Context, token string) (map[string]any, time.Time, error) {
	p, err := a.verifier.Authenticate(ctx, &Credential{Scheme: SchemeBearer, Secret: token})
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, time.Time{}, err
	case errors.Is(err, ErrNotMine):
		return nil, time.Time{}, fmt.Errorf("%w: the provider's token is not a JWT of the issuer", ErrUnavailable)
	case err != nil: // not the fault of who signs in
		return nil, time.Time{}, fmt.Errorf("%w: the provider's token: %s", ErrUnavailable, err.Error())
	}
	return p.Claims, p.Expires, nil
}

// Recheck implements [Rechecker]: a registry token is good while its provider,
// and the way in which its owner signed in, are configured.
func (a *BasicExchange) Recheck(p *Principal, _ *Credential) error {
	return a.recheck(p, a.grants)
}

func (a *BasicExchange) recheck(p *Principal, grants []grant) error {
	if p.Issuer != a.rules.identity {
		return fmt.Errorf("%w: of another provider", ErrDisabled)
	}
	if !slices.ContainsFunc(grants, func(g grant) bool { return g.kind() == p.Kind }) {
		return fmt.Errorf("%w: a %s cannot sign in this way any more", ErrDisabled, p.Kind)
	}
	return nil
}
