package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The values of [Principal.Credential] of whom an external service knows. A
// token in the place of a password is a token.
const (
	CredentialExternalPassword = "external_password"
	CredentialExternalToken    = "external_token"
)

// Bounds of what a service may answer.
const (
	maxExternalList = 1000 // groups, roles
	maxExternalText = 255  // bytes of a group or role
)

// External asks an HTTP service of the operator's who shows a credential. It
// is safe for concurrent use.
type External struct {
	config                   ExternalConfig
	remote                   *remote
	positive, most, negative time.Duration
}

// NewExternal makes the authenticator; it does not touch the network.
func NewExternal(c ExternalConfig, o Options) (*External, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(c.Credentials) == 0 {
		c.Credentials = []string{externalPassword}
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = remoteConcurrent
	}
	e := &External{config: c, positive: c.CacheTTL.OrDefault(defaultExternalTTL), negative: c.NegativeTTL.OrDefault(remoteNegative)}
	e.most = min(10*e.positive, maxExternalTTL)
	e.remote = newRemote(e.Name(), c.Timeout.OrDefault(defaultTimeout), c.MaxConcurrent, o)
	return e, nil
}

// Name is how a realm calls this authenticator.
func (e *External) Name() string { return ExternalName + ":" + e.config.URL }

// externalQuestion is what is posted.
type externalQuestion struct {
	Kind     string `json:"kind"`
	Username string `json:"username,omitempty"`
	Secret   string `json:"secret"`
	ClientIP string `json:"client_ip,omitempty"`
}

// credential is the kind of credential that is asked about.
func (q *externalQuestion) credential() string {
	if q.Kind == externalPassword && !looksLikeJWT(q.Secret) {
		return CredentialExternalPassword
	}
	return CredentialExternalToken
}

// externalAnswer is what a service answers with 200. Other fields are an
// error: one that is misspelt must not be overlooked.
type externalAnswer struct {
	Kind    Kind      `json:"kind"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Groups  []string  `json:"groups"`
	Roles   []string  `json:"roles"`
	Expires time.Time `json:"expires"`
	TTL     *int      `json:"ttl"` // seconds; 0: ask each time
}

// Authenticate implements [Authenticator]. It owns what the service does not
// disclaim with 404, and nothing that by its form is the gateway's own.
func (e *External) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	q := externalQuestion{Username: c.Username, Secret: c.Secret}
	switch c.Scheme {
	case SchemeBasic:
		q.Kind = externalPassword
	case SchemeBearer:
		q.Kind = externalBearer
	}
	if _, ours := secretKind(c.Secret); ours || !slices.Contains(e.config.Credentials, q.Kind) {
		return nil, ErrNotMine
	}
	if q.Kind == externalPassword && c.robots.isRobots(c.Username) {
		return nil, ErrNotMine
	}
	if q.Kind == externalPassword && looksLikeJWT(c.Secret) && !slices.Contains(e.config.Credentials, externalBearer) {
		return nil, ErrNotMine // a token in the place of a password
	}
	if c.Remote.IsValid() {
		q.ClientIP = c.Remote.String()
	}
	return e.remote.who(ctx, Claimant{From: c.Remote, Account: c.Username}, func(ctx context.Context) (answer, error) { return e.ask(ctx, &q) },
		q.Kind, q.Username, q.Secret, q.ClientIP)
}

func (e *External) ask(ctx context.Context, q *externalQuestion) (answer, error) {
	body, err := json.Marshal(q) //nolint:gosec // the secret is what the service is asked about
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range e.config.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := e.remote.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return answer{err: fmt.Errorf("%w: the service answers %d", ErrInvalid, resp.StatusCode), keep: e.negative}, nil
	case http.StatusNotFound:
		return answer{err: ErrNotMine, keep: e.negative}, nil
	default:
		return answer{}, fmt.Errorf("the service answers %d", resp.StatusCode)
	}
	var a externalAnswer
	if err := decodeService(resp, true, &a); err != nil {
		return answer{}, err
	}
	p, err := e.principal(&a)
	if err != nil {
		return answer{}, fmt.Errorf("answer: %w", err)
	}
	p.Credential = q.credential()
	if !p.Expires.IsZero() && !e.remote.now().Before(p.Expires) {
		return answer{err: fmt.Errorf("%w: says the service", ErrExpired), keep: e.negative}, nil
	}
	keep := e.positive
	if a.TTL != nil {
		keep = min(time.Duration(min(*a.TTL, int(maxExternalTTL/time.Second)))*time.Second, e.most)
	}
	return answer{principal: p, keep: keep}, nil
}

// principal checks what the service says. What is wrong with it is the
// service's fault, not the client's.
func (e *External) principal(a *externalAnswer) (*Principal, error) {
	prefix := e.config.Prefix
	p := &Principal{Kind: a.Kind, Name: prefix + a.Name, Subject: a.Subject, Expires: a.Expires}
	switch {
	case a.Kind == "":
		p.Kind = KindUser
	case a.Kind != KindUser && a.Kind != KindRobot && a.Kind != KindWorkload:
		return nil, fmt.Errorf("kind %.40q: want user, robot or workload", a.Kind)
	}
	if a.Name == "" {
		return nil, errors.New("name is missing")
	}
	if err := CheckName(p.Kind, p.Name); err != nil {
		return nil, err
	}
	if len(a.Subject) > maxSubject || !isPlainText(a.Subject) {
		return nil, fmt.Errorf("subject: longer than %d bytes, or control characters", maxSubject)
	}
	if a.TTL != nil && *a.TTL < 0 {
		return nil, errors.New("ttl is negative")
	}
	if p.Kind == KindUser { // an empty list means none, a missing one says nothing
		p.GroupsUnread, p.RolesUnread = a.Groups == nil, a.Roles == nil
	}
	var err error
	if p.Groups, err = e.list("groups", a.Groups); err != nil {
		return nil, err
	}
	p.Roles, err = e.list("roles", a.Roles)
	return p, err
}

func (e *External) list(field string, members []string) ([]string, error) {
	if len(members) > maxExternalList {
		return nil, fmt.Errorf("%s: more than %d", field, maxExternalList)
	}
	var list []string
	for _, m := range members {
		if m == "" || len(m) > maxExternalText || !isPlainText(m) {
			return nil, fmt.Errorf("%s: %.64q: empty, longer than %d bytes, or control characters", field, m, maxExternalText)
		}
		list = append(list, e.config.Prefix+m)
	}
	return list, nil
}

// Facts implements [Described].
func (e *External) Facts() Facts {
	return Facts{Name: e.Name(), Prefix: e.config.Prefix, People: true, Passwords: slices.Contains(e.config.Credentials, externalPassword)}
}

// BreakGlass implements [BreakGlass]: bearer tokens are no passwords.
func (e *External) BreakGlass() Authenticator {
	if !slices.Contains(e.config.Credentials, externalBearer) {
		return nil
	}
	return externalTokens{e}
}

// externalTokens is the part of an [External] that is asked about tokens.
type externalTokens struct{ *External }

// Authenticate implements [Authenticator]. A token in the place of a password
// is one all the same.
func (t externalTokens) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme == SchemeBasic && !looksLikeJWT(c.Secret) {
		return nil, ErrNotMine
	}
	return t.External.Authenticate(ctx, c)
}

// Recheck implements [Rechecker]: what passwords were exchanged for ends.
func (t externalTokens) Recheck(p *Principal, c *Credential) error {
	if p.Origin != CredentialExternalToken {
		return fmt.Errorf("%w: %s did not sign in with a token, and passwords are switched off", ErrDisabled, p)
	}
	return t.External.Recheck(p, c)
}

// Recheck implements [Rechecker]: a registry token is good while the service is
// asked about credentials of the kind that it was issued for.
func (e *External) Recheck(p *Principal, _ *Credential) error {
	asked := map[string]string{CredentialExternalPassword: externalPassword, CredentialExternalToken: externalBearer}[p.Origin]
	if asked != "" && !slices.Contains(e.config.Credentials, asked) {
		return fmt.Errorf("%w: the service is not asked about a %s any more", ErrDisabled, asked)
	}
	return nil
}

// ExternalName is the name of the authenticator that asks a service of your
// own, with the service's URL after a colon.
const ExternalName = "external"

// ExternalConfig declares an HTTP service that decides who shows a credential.
type ExternalConfig struct {
	// Where credentials are posted to: https, or http on this machine.
	URL string `json:"url"`

	// Which credentials the service is asked about: `password` (default) is
	// HTTP Basic, `bearer` are bearer tokens. Secrets and registry tokens of
	// the gateway's own are never sent.
	Credentials []string `json:"credentials,omitempty"`

	// Headers that are sent with each question, so that the service knows who
	// asks. Use placeholders for secrets.
	Headers map[string]string `json:"headers,omitempty"`

	// Put before the names of users, groups and roles.
	Prefix string `json:"prefix,omitempty"`

	// How long an answer is good that does not say it; what it says counts
	// up to ten times that. Default: 1 minute, at most 1 hour.
	CacheTTL Duration `json:"cache_ttl,omitempty"`

	// How long a refusal is good. Default: 5 seconds, at most 1 minute.
	NegativeTTL Duration `json:"negative_ttl,omitempty"`

	// How long the service may take. Default: 5 seconds, at most 30.
	Timeout Duration `json:"timeout,omitempty"`

	// How many questions are under way at most; further ones are answered
	// with 429. Default: 32, at most 1,024.
	MaxConcurrent int `json:"max_concurrent,omitempty"`

	// If true, the service may be reached by http:// although it is on another
	// machine, where anybody between can read the passwords. For tests.
	InsecureURL bool `json:"insecure_url,omitempty"`
}

// Defaults and bounds of an [ExternalConfig].
const (
	defaultExternalTTL    = time.Minute
	maxExternalTTL        = time.Hour
	maxExternalNegative   = time.Minute
	maxExternalConcurrent = 1024
	maxExternalHeaders    = 16

	externalPassword = "password"
	externalBearer   = "bearer"
)

// Validate returns what is wrong with the declaration, naming the field.
func (c ExternalConfig) Validate() error {
	if err := checkService(c.URL, c.InsecureURL); err != nil {
		return fmt.Errorf("external: url %w", err)
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("external %.120s: %w", c.URL, fmt.Errorf(format, args...))
	}
	for _, kind := range c.Credentials {
		if kind != externalPassword && kind != externalBearer {
			return wrong("credentials %.40q: want password or bearer", kind)
		}
	}
	if len(c.Headers) > maxExternalHeaders {
		return wrong("more than %d headers", maxExternalHeaders)
	}
	for name, value := range c.Headers {
		canon := canonical(name)
		if canon == "" || strings.ContainsAny(name, " :_\r\n\t") || slices.Contains([]string{"Host", "Content-Type", "Content-Length", "Connection", "Transfer-Encoding"}, canon) {
			return wrong("header %.64q: cannot be set", name)
		}
		if !isPlainText(value) {
			return wrong("header %.64q: the value has control characters", name)
		}
	}
	for _, limit := range []struct {
		name  string
		value Duration
		most  time.Duration
	}{{"cache_ttl", c.CacheTTL, maxExternalTTL}, {"negative_ttl", c.NegativeTTL, maxExternalNegative}, {"timeout", c.Timeout, maxTimeout}} {
		if limit.value < 0 || time.Duration(limit.value) > limit.most {
			return wrong("%s: want at most %s", limit.name, limit.most)
		}
	}
	if c.MaxConcurrent < 0 || c.MaxConcurrent > maxExternalConcurrent {
		return wrong("max_concurrent: want at most %d", maxExternalConcurrent)
	}
	return nil
}
