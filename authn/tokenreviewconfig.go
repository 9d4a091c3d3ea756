package authn

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

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
