package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// CredentialServiceAccount is the [Principal.Credential] of a Kubernetes
// service account whose token the API server has confirmed.
const CredentialServiceAccount = "service_account_token"

// TokenReview authenticates Kubernetes service accounts by asking the API
// server whose token it is, so that a token ends with the pod or the account
// that it is bound to. It is safe for concurrent use.
type TokenReview struct {
	config   TokenReviewConfig
	endpoint string
	accounts requirement
	remote   *remote
	keep     time.Duration
}

// NewTokenReview makes the authenticator. It touches neither the network nor
// the token file.
func NewTokenReview(c TokenReviewConfig, o Options) (*TokenReview, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	accounts, err := c.accounts()
	if err != nil {
		return nil, err
	}
	if c.TokenFile == "" {
		c.TokenFile = filepath.Join(serviceAccountFolder, "token")
	}
	t := &TokenReview{
		config: c, accounts: accounts, keep: c.CacheTTL.OrDefault(defaultReviewTTL),
		endpoint: strings.TrimSuffix(c.Server, "/") + "/apis/authentication.k8s.io/v1/tokenreviews",
	}
	t.remote = newRemote(t.Name(), c.Timeout.OrDefault(defaultTimeout), remoteConcurrent, o)
	return t, nil
}

// Facts implements [Described]. What the prefix begins are names of workloads,
// which rules do not take for users.
func (t *TokenReview) Facts() Facts {
	return Facts{Name: t.Name(), Issuers: t.config.Issuers, Rereads: configured(t.config.TokenFile)}
}

// Name is how a realm calls this authenticator.
func (t *TokenReview) Name() string { return TokenReviewName + ":" + t.config.Server }

// Authenticate implements [Authenticator]. It owns JWTs that a cluster could
// have issued, as Bearer or as the password of Basic with any user name.
func (t *TokenReview) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !looksLikeJWT(c.Secret) {
		return nil, ErrNotMine
	}
	token, err := parseToken(c.Secret)
	if token == nil || !t.owns(token.claims) {
		return nil, ErrNotMine
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// Nothing of this is verified; but what says that it is over need not
	// trouble the server.
	expires, _ := numericDate(token.claims, "exp")
	if !expires.IsZero() && !t.remote.now().Before(expires) {
		return nil, fmt.Errorf("%w: service account token", ErrExpired)
	}
	return t.remote.who(ctx, Claimant{From: c.Remote}, func(ctx context.Context) (answer, error) {
		return t.review(ctx, c.Secret, token.claims, expires)
	}, c.Secret)
}

// Recheck implements [Rechecker]: the account must still be one of those that
// are accepted. The API server is not asked again.
func (t *TokenReview) Recheck(p *Principal, _ *Credential) error {
	account, ok := strings.CutPrefix(p.Name, t.config.Prefix)
	if p.Kind != KindWorkload || !ok || (t.accounts.globs != nil && !t.accounts.accepts(account)) {
		return fmt.Errorf("%w: service account %.128q is not accepted any more", ErrDisabled, p.Name)
	}
	return nil
}

// owns says whether a token, by what it says of itself, is a cluster's.
func (t *TokenReview) owns(claims map[string]any) bool {
	if len(t.config.Issuers) > 0 {
		issuer, _ := claims["iss"].(string)
		return slices.Contains(t.config.Issuers, issuer)
	}
	_, ours := claims["kubernetes.io"].(map[string]any)
	return ours
}

// tokenReview is the object of the API, as far as it is used.
type tokenReview struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Spec       tokenReviewSpec   `json:"spec"`
	Status     tokenReviewStatus `json:"status,omitzero"`
}

type tokenReviewSpec struct {
	Token     string   `json:"token,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
}

type tokenReviewStatus struct {
	Authenticated bool            `json:"authenticated,omitempty"`
	User          tokenReviewUser `json:"user,omitzero"`
	Audiences     []string        `json:"audiences,omitempty"`
	Error         string          `json:"error,omitempty"`
}

type tokenReviewUser struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// review asks the API server.
func (t *TokenReview) review(ctx context.Context, token string, claims map[string]any, expires time.Time) (answer, error) {
	own, err := os.ReadFile(t.config.TokenFile)
	if err != nil {
		return answer{}, fmt.Errorf("token_file: %w", err)
	}
	body, err := json.Marshal(&tokenReview{
		APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview",
		Spec: tokenReviewSpec{Token: token, Audiences: t.config.Audiences},
	})
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(own)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := t.remote.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	// 401 and 403 are about our own token, not about the client's.
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("the API server answers %d to the review", resp.StatusCode)
	}
	var reviewed tokenReview
	if err := decodeService(resp, false, &reviewed); err != nil {
		return answer{}, err
	}
	if reviewed.Kind != "TokenReview" {
		return answer{}, errors.New("the API server answers with something else than a TokenReview")
	}
	p, err := t.principal(&reviewed.Status, claims, expires)
	if err != nil {
		return answer{err: err, keep: remoteNegative}, nil
	}
	return answer{principal: p, keep: t.keep}, nil
}

// principal reads who the API server says it is.
func (t *TokenReview) principal(s *tokenReviewStatus, claims map[string]any, expires time.Time) (*Principal, error) {
	if !s.Authenticated {
		return nil, fmt.Errorf("%w: the API server does not know the token: %.200s", ErrInvalid, s.Error)
	}
	// A server that ignores the audiences of the question answers with none.
	if !slices.ContainsFunc(s.Audiences, func(a string) bool { return slices.Contains(t.config.Audiences, a) }) {
		return nil, fmt.Errorf("%w: the token is not for one of our audiences", ErrInvalid)
	}
	rest, isAccount := strings.CutPrefix(s.User.Username, "system:serviceaccount:")
	namespace, name, two := strings.Cut(rest, ":")
	if !isAccount || !two || namespace == "" || name == "" || strings.ContainsAny(rest, "/") || strings.Contains(name, ":") {
		return nil, fmt.Errorf("%w: %.120q is no service account", ErrInvalid, s.User.Username)
	}
	account := namespace + "/" + name
	if t.accounts.globs != nil && !t.accounts.accepts(account) {
		return nil, fmt.Errorf("%w: service account %.120q is not accepted", ErrInvalid, account)
	}
	if err := CheckName(KindWorkload, t.config.Prefix+account); err != nil {
		return nil, fmt.Errorf("%w: service account: %w", ErrInvalid, err)
	}
	issuer, _ := claims["iss"].(string)
	jti, _ := claims["jti"].(string)
	if len(issuer) > maxSubject || len(jti) > maxSubject {
		return nil, fmt.Errorf("%w: iss or jti is longer than %d bytes", ErrInvalid, maxSubject)
	}
	p := &Principal{
		Kind: KindWorkload, Name: t.config.Prefix + account, Issuer: issuer, Subject: s.User.Username, Groups: s.User.Groups,
		Claims: map[string]any{
			"namespace": namespace, "serviceaccount": name, "uid": s.User.UID, "username": s.User.Username,
		},
		GroupsUnread: s.User.Groups == nil,
		Credential:   CredentialServiceAccount, CredentialID: jti, Expires: expires,
	}
	p.Issued, _ = numericDate(claims, "iat")
	if pods := s.User.Extra["authentication.kubernetes.io/pod-name"]; len(pods) == 1 {
		p.Claims["pod"] = pods[0]
	}
	return p, nil
}

// TokenReviewName is the name of the authenticator for Kubernetes service
// accounts, with the server's URL after a colon.
const TokenReviewName = "token_review"

// serviceAccountFolder is where a pod finds the credentials of its own
// service account.
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// TokenReviewConfig declares a Kubernetes API server that is asked whose token
// it is (API authentication.k8s.io/v1, TokenReview).
type TokenReviewConfig struct {
	// The API server, `https://kubernetes.default.svc` from within a cluster.
	Server string `json:"server"`

	// For whom tokens must have been issued; one of them is enough. A token
	// for the API server itself is none of ours.
	Audiences []string `json:"audiences"`

	// The issuers whose tokens are asked about. Default: tokens that have the
	// claim `kubernetes.io`, whoever issued them.
	Issuers []string `json:"issuers,omitempty"`

	// The service accounts that are accepted, as `namespace/name`; `*` stands
	// for a run of characters but `/`. Default: all of the cluster.
	Accounts []string `json:"accounts,omitempty"`

	// Put before the names of the workloads, which are `namespace/name`.
	Prefix string `json:"prefix,omitempty"`

	// The file with the token that the gateway itself shows to the API server;
	// it is read for every question. Its account must be allowed to create
	// tokenreviews (the cluster role `system:auth-delegator`). Default: that
	// of the pod's service account.
	TokenFile string `json:"token_file,omitempty"`

	// How long an answer is good. A pod that is deleted is known that much
	// longer. Default: 1 minute, at most 10.
	CacheTTL Duration `json:"cache_ttl,omitempty"`

	// How long the API server may take. Default: 5 seconds, at most 30.
	Timeout Duration `json:"timeout,omitempty"`

	// If true, the server may be reached by http:// although it is on another
	// machine, where anybody between can read the tokens. For tests.
	InsecureServer bool `json:"insecure_server,omitempty"`
}

// Defaults of a [TokenReviewConfig].
const (
	defaultReviewTTL = time.Minute
	maxReviewTTL     = 10 * time.Minute
	defaultTimeout   = 5 * time.Second
	maxTimeout       = 30 * time.Second
)

// Validate returns what is wrong with the declaration, naming the field.
func (c TokenReviewConfig) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("token_review %.120s: %w", c.Server, fmt.Errorf(format, args...))
	}
	if err := checkService(c.Server, c.InsecureServer); err != nil {
		return fmt.Errorf("token_review: server %w", err)
	}
	switch {
	case len(c.Audiences) == 0:
		return wrong("audience is missing: a token that a pod has for somebody else must not open the registry")
	case slices.Contains(c.Audiences, "") || slices.Contains(c.Issuers, ""):
		return wrong("an audience or issuer is empty")
	case c.TokenFile != "" && !filepath.IsAbs(c.TokenFile):
		return wrong("token_file %.120q: want an absolute path", c.TokenFile)
	case c.CacheTTL < 0 || time.Duration(c.CacheTTL) > maxReviewTTL:
		return wrong("cache_ttl: want at most %s", maxReviewTTL)
	case c.Timeout < 0 || time.Duration(c.Timeout) > maxTimeout:
		return wrong("timeout: want at most %s", maxTimeout)
	}
	_, err := c.accounts()
	if err != nil {
		return wrong("%w", err)
	}
	return nil
}

// accounts compiles which service accounts are accepted.
func (c TokenReviewConfig) accounts() (r requirement, err error) {
	for _, account := range c.Accounts {
		if account == "" {
			return r, errors.New("an account is empty")
		}
		glob, err := parseGlob(account)
		if err != nil {
			return r, fmt.Errorf("account: %w", err)
		}
		r.globs = append(r.globs, glob)
	}
	return r, nil
}
