package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
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
		Issuer: c.Issuer, ClaimsConfig: c.ClaimsConfig, ClockSkew: c.ClockSkew,
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
	case err != nil: // not the fault of the person signing in
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

// Facts implements [Described]. Its clients may have groups and roles of
// people, so it names people also where it takes no passwords of theirs.
func (a *BasicExchange) Facts() Facts {
	f := Facts{Name: a.Name(), Prefix: a.rules.prefix, People: true, NameFrom: NameSource{Issuer: a.verifier.issuer}}
	for _, g := range a.grants {
		if g.kind() == KindUser {
			f.Passwords, f.NameFrom.Claim = true, userClaim(a.rules.username)
		} else {
			f.Clients = true
		}
	}
	return f
}

// BreakGlass implements [BreakGlass]: the secrets of clients are nobody's
// passwords.
func (a *BasicExchange) BreakGlass() Authenticator {
	for _, g := range a.grants {
		if g.kind() == KindWorkload {
			return exchangedClients{a, []grant{g}}
		}
	}
	return nil
}

// exchangedClients is the part of a [BasicExchange] that is asked about
// clients.
type exchangedClients struct {
	all  *BasicExchange
	only []grant
}

// Authenticate implements [Authenticator].
func (e exchangedClients) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !isPassword(c) {
		return nil, ErrNotMine
	}
	return e.all.clients.ask(ctx, c, func(ctx context.Context) (*Principal, time.Time, error) {
		return e.all.exchange(ctx, e.only, c)
	})
}

// Recheck implements [Rechecker].
func (e exchangedClients) Recheck(p *Principal, _ *Credential) error { return e.all.recheck(p, e.only) }

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

// errRefused says that the provider does not accept a password.
var errRefused = errors.New("refused by the provider")

// refusals are the codes of RFC 6749 §5.2 that say so. The others are about
// the request, which is ours.
var refusals = []string{"invalid_client", "invalid_grant", "unauthorized_client", "access_denied"}

// exchangeRequest sends token requests.
type exchangeRequest struct {
	client     *http.Client
	endpoint   func(context.Context) (string, error)
	scopes     []string
	parameters map[string]string
	log        *zap.Logger
}

func newExchangeRequest(c BasicExchangeConfig, client *http.Client, now func() time.Time, log *zap.Logger) exchangeRequest {
	r := exchangeRequest{
		client: client, scopes: slices.Clone(c.Scopes), parameters: maps.Clone(c.Parameters),
		log: log.With(zap.String("issuer", c.Issuer)),
	}
	if c.TokenEndpoint != "" {
		r.endpoint = func(context.Context) (string, error) { return c.TokenEndpoint, nil }
	} else {
		r.endpoint = (&endpointDiscovery{issuer: c.Issuer, insecure: c.InsecureIssuer, client: client, now: now}).get
	}
	return r
}

// clientAuth is how a client proves itself to the provider.
type clientAuth struct{ method, id, secret string }

// exchangedTokens is a successful answer (RFC 6749 §5.1).
type exchangedTokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
}

// send asks for tokens. What the provider writes about a refusal goes into
// the error, unless it repeats secret.
func (x *exchangeRequest) send(ctx context.Context, form url.Values, auth clientAuth, secret string) (exchangedTokens, error) {
	tokens, err := x.post(ctx, form, auth, secret)
	if errors.Is(err, ErrUnavailable) {
		x.log.Warn("exchange failed", zap.Error(err))
	}
	return tokens, err
}

func (x *exchangeRequest) post(ctx context.Context, form url.Values, auth clientAuth, secret string) (tokens exchangedTokens, err error) {
	endpoint, err := x.endpoint(ctx)
	if err != nil {
		return tokens, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if scopes := slices.Concat(form["scope"], x.scopes); len(scopes) > 0 {
		slices.Sort(scopes)
		form.Set("scope", strings.Join(slices.Compact(scopes), " "))
	}
	for name, value := range x.parameters {
		form.Set(name, value)
	}
	inBody := auth.method == ClientAuthPost || auth.secret == ""
	if inBody {
		form.Set("client_id", auth.id)
		if auth.secret != "" {
			form.Set("client_secret", auth.secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if !inBody {
		r.SetBasicAuth(url.QueryEscape(auth.id), url.QueryEscape(auth.secret)) // RFC 6749 §2.3.1
	}
	response, err := x.client.Do(r)
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, shortened(err))
	}
	if response.StatusCode != http.StatusOK {
		return tokens, refusal(response.StatusCode, body, secret)
	}
	if err := json.Unmarshal(body, &tokens); err != nil {
		return tokens, fmt.Errorf("%w: token endpoint: the answer is not JSON", ErrUnavailable)
	}
	return tokens, nil
}

// refusal turns an error answer into an error. Only what the provider clearly
// says of the password is a refusal.
func refusal(status int, body []byte, secret string) error {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		answer.Error, answer.Description = "", ""
	}
	reason := fmt.Sprintf("status %d", status)
	if answer.Error != "" {
		reason = fmt.Sprintf("%.60q", answer.Error)
	}
	if d := answer.Description; d != "" && !strings.Contains(d, secret) {
		reason += fmt.Sprintf(" (%.120q)", d)
	}
	said := slices.Contains(refusals, answer.Error) && status >= 400 && status < 500
	if said || status == http.StatusUnauthorized && answer.Error == "" {
		return fmt.Errorf("%w: %s", errRefused, reason)
	}
	return fmt.Errorf("%w: token endpoint answers %s", ErrUnavailable, reason)
}

// endpointDiscovery finds an issuer's token endpoint. Those who need it at
// the same time wait for one answer.
type endpointDiscovery struct {
	issuer   string
	insecure bool
	client   *http.Client
	now      func() time.Time

	flights singleflight.Group
	found   atomic.Pointer[foundEndpoint]
}

type foundEndpoint struct {
	address string
	at      time.Time
}

// get returns the endpoint. One that was found earlier goes on being used
// while the provider does not answer.
func (d *endpointDiscovery) get(ctx context.Context) (string, error) {
	found := d.found.Load()
	if found != nil && d.now().Sub(found.at) < discoveryAge {
		return found.address, nil
	}
	done := d.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		document, err := discoverIssuer(ctx, d.client, d.issuer)
		if err != nil {
			return "", err
		}
		if err := checkDiscovered("token_endpoint", document.TokenEndpoint, d.issuer, d.insecure); err != nil {
			return "", err
		}
		d.found.Store(&foundEndpoint{document.TokenEndpoint, d.now()})
		return document.TokenEndpoint, nil
	})
	select {
	case r := <-done:
		address, _ := r.Val.(string)
		if r.Err != nil && found != nil {
			return found.address, nil
		}
		return address, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
