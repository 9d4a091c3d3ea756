package handlers

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Matcher matches requests to the registry API by what they do and to which
// repository, so that other directives can be combined with it. It says
// nothing of whether the request is allowed. A request that is not in the
// canonical form of the distribution specification never matches.
type Matcher struct {
	// The actions that match: `pull`, `push`, `delete`, `list`.
	// Default: any.
	Actions authz.Action `json:"actions,omitempty"`

	// Repository patterns: `*` is one segment, `**` any number of them.
	// Default: any repository, and requests that name none.
	Repositories []string `json:"repositories,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.registry", New: func() caddy.Module { return new(Matcher) }}
}

// UnmarshalCaddyfile reads the matcher:
//
//	registry {
//		action     <action>...
//		repository <pattern>...
//	}
//
// or in one line `registry action <action>...`, `registry repository <pattern>...`.
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if d.NextArg() {
			if err := m.option(d); err != nil {
				return err
			}
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			if err := m.option(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Matcher) option(d *caddyfile.Dispenser) error {
	name, args := d.Val(), d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	switch name {
	case "action":
		for _, arg := range args {
			action, err := authz.ParseAction(arg)
			if err != nil {
				return d.WrapErr(err)
			}
			m.Actions |= action
		}
	case "repository":
		for _, arg := range args {
			if err := authz.CheckPattern(arg); err != nil {
				return d.WrapErr(err)
			}
		}
		m.Repositories = append(m.Repositories, args...)
	default:
		return d.Errf("unrecognized registry matcher %q: want action or repository", name)
	}
	return nil
}

// Validate checks the patterns.
func (m *Matcher) Validate() error {
	for _, pattern := range m.Repositories {
		if err := authz.CheckPattern(pattern); err != nil {
			return fmt.Errorf("repository: %w", err)
		}
	}
	return nil
}

// Match reports whether the request matches.
func (m *Matcher) Match(r *http.Request) bool {
	match, _ := m.MatchWithError(r)
	return match
}

// MatchWithError reports whether the request matches; it has no errors.
func (m *Matcher) MatchWithError(r *http.Request) (bool, error) {
	if !authz.IsRegistryPath(r.URL) {
		return false, nil
	}
	request, err := authz.ParseRequest(r.Method, r.URL, r.Header, nil)
	if err != nil {
		return false, nil //nolint:nilerr // what is not a registry request does not match
	}
	if m.Actions != 0 && request.Action()&m.Actions == 0 {
		return false, nil
	}
	matches := func(pattern string) bool { return authz.MatchPattern(pattern, request.Repository) }
	return len(m.Repositories) == 0 || slices.ContainsFunc(m.Repositories, matches), nil
}
