package authn

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

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
