// Package portal is the browser's side of a realm: signing in with an OpenID
// provider, the sessions that come of it, and the pages where people see and
// manage their own access and administrators everybody's.
//
// A [Portal] is an [net/http.Handler] for everything below its prefix. Its
// [Sessions] are an authenticator beside those of machines. What changes
// something goes through a [management.Manager]; the pages only ask and show.
package portal

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// Config is the `portal` block of a realm.
type Config struct {
	// Whether there are pages and browser sign-in: `on` or `off`. Default:
	// `on` if people can sign in with the browser at one of the providers.
	Switch string `json:"switch,omitempty"`

	// Where the pages are. Default: `/auth/`.
	Prefix string `json:"prefix,omitempty"`

	// The address of the pages, where they have a host of their own:
	// `https://auth.example.com`, without a path. People sign in there and
	// nowhere else, and no session is known on the registry's host. Default:
	// `public_url`.
	URL string `json:"url,omitempty"`

	// How long a session may rest before it ends. Default: 8 hours.
	SessionIdle authn.Duration `json:"session_idle,omitempty"`

	// How long a session lasts at the longest. Default: 7 days.
	SessionLifetime authn.Duration `json:"session_lifetime,omitempty"`

	// Whether clients can be logged in by a code that people approve with the
	// browser: `on` or `off`. Default: `on`.
	DeviceLogin string `json:"device_login,omitempty"`

	// How long such a code is good, from `1m` to `30m`. Default: 10 minutes.
	DeviceCodeLifetime authn.Duration `json:"device_code_lifetime,omitempty"`

	// Whether a credential is only created after the person has signed in
	// again, which the provider has to confirm (`auth_time`): `on` or `off`.
	// With `off` the person is still sent to the provider and confirms on a
	// page, and the provider may let them through without asking. Default:
	// `on`.
	Reauthenticate string `json:"reauthenticate,omitempty"`

	// Without `public_url`: the hosts (`registry.example.com`, with a port if
	// it is not the usual one) that may be signed in at. Whoever asks for
	// another host is told so.
	TrustedHosts []string `json:"trusted_hosts,omitempty"`
}

// Defaults of a [Config].
const (
	DefaultPrefix          = "/auth/"
	defaultSessionIdle     = 8 * time.Hour
	defaultSessionLifetime = 7 * 24 * time.Hour
	maxSessionLifetime     = 90 * 24 * time.Hour
)

// Validate returns what is wrong with the configuration, naming the field.
func (c Config) Validate() error {
	if c.Switch != "" && c.Switch != authn.SwitchOn && c.Switch != authn.SwitchOff {
		return fmt.Errorf("portal %.20q: want on or off", c.Switch)
	}
	full := c.withDefaults()
	p := full.Prefix
	if u, err := url.Parse(p); err != nil || len(p) < 3 || u.Path != p || p[0] != '/' || strings.Contains(p, "//") || strings.Contains(p, "/.") || strings.ContainsAny(p, "%\\;{}") {
		return fmt.Errorf("portal: prefix %.60q: want a path such as /auth/", c.Prefix)
	}
	if p == "/v2/" || strings.HasPrefix(p, "/v2/") {
		return errors.New("portal: prefix: /v2/ is the registry's")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != c.URL || u.Scheme != "https" && (u.Scheme != "http" || !loopback.Is(u.Hostname())) {
			return fmt.Errorf("portal: url %.60q: want an address such as https://auth.example.com", c.URL)
		}
	}
	idle, lifetime := time.Duration(full.SessionIdle), time.Duration(full.SessionLifetime)
	switch {
	case idle < time.Minute:
		return fmt.Errorf("portal: session_idle %s is shorter than a minute", idle)
	case lifetime < idle:
		return fmt.Errorf("portal: session_lifetime %s is shorter than session_idle %s", lifetime, idle)
	case lifetime > maxSessionLifetime:
		return fmt.Errorf("portal: session_lifetime %s is longer than 90 days", lifetime)
	}
	if c.DeviceLogin != "" && c.DeviceLogin != authn.SwitchOn && c.DeviceLogin != authn.SwitchOff {
		return fmt.Errorf("portal: device_login %.20q: want on or off", c.DeviceLogin)
	}
	if c.Reauthenticate != "" && c.Reauthenticate != authn.SwitchOn && c.Reauthenticate != authn.SwitchOff {
		return fmt.Errorf("portal: reauthenticate %.20q: want on or off", c.Reauthenticate)
	}
	if l := c.deviceLifetime(); l < time.Minute || l > 30*time.Minute {
		return fmt.Errorf("portal: device_code_lifetime %s is not between 1m and 30m", l)
	}
	for _, h := range c.TrustedHosts {
		if u, err := url.Parse("https://" + h); err != nil || u.Host != h || h == "" || strings.ToLower(h) != h {
			return fmt.Errorf("portal: trusted_host %.60q: want a host name in small letters, perhaps with a port", h)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if !strings.HasSuffix(c.Prefix, "/") {
		c.Prefix += "/"
	}
	if c.SessionLifetime == 0 {
		c.SessionLifetime = max(authn.Duration(defaultSessionLifetime), c.SessionIdle)
	}
	if c.SessionIdle == 0 {
		c.SessionIdle = min(authn.Duration(defaultSessionIdle), c.SessionLifetime)
	}
	return c
}

// PathPrefix is where the pages are, with a slash at both ends.
func (c Config) PathPrefix() string { return c.withDefaults().Prefix }

// deviceLifetime is how long a code is good.
func (c Config) deviceLifetime() time.Duration {
	return cmp.Or(time.Duration(c.DeviceCodeLifetime), 10*time.Minute)
}
