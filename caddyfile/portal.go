package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// Portal reads where the pages are and how long sessions last:
//
//	portal [on|off] {
//		prefix           <path>
//		url              <url>
//		session_idle     <duration>
//		session_lifetime <duration>
//		device_login     on|off
//		device_code_lifetime <duration>
//		reauthenticate   on|off
//		trusted_host     <host...>
//	}
//
// trusted_host may stand several times.
func Portal(d *caddyfile.Dispenser, c *portal.Config) error {
	c.Switch = authn.SwitchOn
	if d.NextArg() {
		if c.Switch = d.Val(); d.NextArg() {
			return d.ArgErr()
		}
	}
	if err := c.Validate(); err != nil {
		return d.WrapErr(err)
	}
	options := Options{
		"prefix":               Text(&c.Prefix),
		"url":                  Text(&c.URL),
		"session_idle":         Span(&c.SessionIdle),
		"session_lifetime":     Span(&c.SessionLifetime),
		"device_login":         Text(&c.DeviceLogin),
		"device_code_lifetime": Span(&c.DeviceCodeLifetime),
		"reauthenticate":       Text(&c.Reauthenticate),
		"trusted_host":         List(&c.TrustedHosts),
	}
	if err := options.Read(d, "portal"); err != nil {
		return err
	}
	// As a whole, since the two durations belong together.
	return Valid(d, *c)
}

// IdentityHeaders are the headers in which what is behind the gateway reads
// who sends a request.
type IdentityHeaders struct {
	// The header with the name of the principal; robots and workloads are
	// `robot:NAME` and `workload:NAME`. `off` for none, as with the others.
	// Default: `X-Forwarded-User`.
	User string `json:"user,omitempty"`

	// The header with the kind of the principal: `user`, `robot` or `workload`.
	// Default: `X-Registry-Kind`.
	Kind string `json:"kind,omitempty"`

	// The header with the e-mail address, unless the provider says that it is
	// not verified. Default: `X-Forwarded-Email`.
	Email string `json:"email,omitempty"`

	// The header with the groups, separated by commas. A group whose own name
	// has a comma is left out. Default: `X-Forwarded-Groups`.
	Groups string `json:"groups,omitempty"`

	// The header with the first of the role values whose subjects the
	// principal is one of. Default: `X-Registry-Role`.
	Role string `json:"role,omitempty"`

	// Which principals are told to have which role. Default: nobody has any,
	// and there is no such header.
	RoleValues []RoleValue `json:"role_values,omitempty"`
}

// RoleValue is a role, as the registry calls it, and who has it.
type RoleValue struct {
	// What the header says, for example `sr-admin`.
	Value string `json:"value"`

	// Who has the role, as in a policy: `group:platform`, `role:sr-admin`.
	Subjects []string `json:"subjects"`
}

// identityHeaders reads how the identity is passed on:
//
//	identity_headers {
//		user       <header>|off
//		kind       <header>|off
//		email      <header>|off
//		groups     <header>|off
//		role       <header>|off
//		role_value <value> <subject...>
//	}
func identityHeaders(d *caddyfile.Dispenser) (*IdentityHeaders, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	h := new(IdentityHeaders)
	return h, Options{
		"user":   Text(&h.User),
		"kind":   Text(&h.Kind),
		"email":  Text(&h.Email),
		"groups": Text(&h.Groups),
		"role":   Text(&h.Role),
		"role_value": func(d *caddyfile.Dispenser) error {
			args := d.RemainingArgs()
			if len(args) < 2 {
				return d.Err("role_value: want a value and at least one subject")
			}
			h.RoleValues = append(h.RoleValues, RoleValue{Value: args[0], Subjects: args[1:]})
			return nil
		},
	}.Read(d, "identity_headers")
}
