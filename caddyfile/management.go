package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// Management reads how the API that manages a realm is reached, and what may
// be made with it:
//
//	management {
//		prefix             <path>
//		api_key            <name> <placeholder or hash> [<scope...>] [{
//			from <network...>
//		}]
//		bootstrap          off|{ … }
//		robot_max_lifetime <duration>
//		token_max_lifetime <duration>|never
//		require            from
//		harbor_robots
//		no_role_mappings
//	}
//
// api_key may stand several times.
func Management(d *caddyfile.Dispenser, c *management.Config) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return Options{
		"prefix":  Text(&c.Prefix, managementPrefix),
		"api_key": func(d *caddyfile.Dispenser) error { return apiKey(d, c) },
		"bootstrap": func(d *caddyfile.Dispenser) error {
			if c.Bootstrap != nil {
				return Twice(d, d.Val())
			}
			c.Bootstrap = new(management.BootstrapConfig)
			return Bootstrap(d, c.Bootstrap)
		},
		"robot_max_lifetime": Span(&c.RobotMaxLifetime),
		"token_max_lifetime": Span(&c.TokenMaxLifetime, "never"),
		"require": func(d *caddyfile.Dispenser) error {
			if !d.NextArg() || d.Val() != "from" || d.NextArg() {
				return d.Err("require: want from, that robots and access tokens say from which networks they are accepted")
			}
			c.RequireFrom = true
			return nil
		},
		"no_role_mappings": Flag(&c.NoRoleMappings),
		"harbor_robots":    Flag(&c.HarborRobots),
	}.Read(d, "management")
}

func managementPrefix(d *caddyfile.Dispenser, name, prefix string) error {
	if !strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") || strings.HasPrefix(prefix+"/", "/v2/") {
		return d.Errf("%s %q: want a path such as /auth/api/v1, not below /v2", name, prefix)
	}
	return nil
}

// apiKey reads a key that stands in the configuration, which it must not
// itself: only a placeholder for it, or its hash.
func apiKey(d *caddyfile.Dispenser, c *management.Config) error {
	k := management.StaticKeyConfig{Source: source(d)}
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Errf("api_key: want a name and a placeholder for the key, such as api_key terraform {env.ADMIN_KEY}")
	}
	k.Name, k.Key, k.Scopes = args[0], args[1], args[2:]
	for _, other := range c.APIKeys {
		if other.Name == k.Name {
			return d.Errf("api_key %s: there are two of that name", k.Name)
		}
	}
	switch {
	case strings.Contains(k.Key, "{http.request."):
		return d.Errf("api_key %s: {file.NAME} stands for a part of the request path here: write an absolute path, {file./run/secrets/NAME}", k.Name)
	case strings.HasPrefix(k.Key, "{") && strings.HasSuffix(k.Key, "}"):
	case strings.HasPrefix(k.Key, "sha256:"):
		if _, err := authn.ParseHash(k.Key); err != nil {
			return d.Errf("api_key %s: %v", k.Name, err)
		}
	default:
		return d.Errf("api_key %s: a key is not written down here: want a placeholder such as {env.ADMIN_KEY} or {file./run/secrets/key}, or the hash that new-secret prints", k.Name)
	}
	for _, s := range k.Scopes {
		if err := management.CheckScope(s); err != nil {
			return d.Errf("api_key %s: %v", k.Name, err)
		}
	}
	if err := (Options{"from": List(&k.From, checkSource)}).Read(d, "api_key"); err != nil {
		return err
	}
	c.APIKeys = append(c.APIKeys, k)
	return nil
}

// Bootstrap reads how the first administrator is made; d stands on the name:
//
//	bootstrap off
//	bootstrap {
//		secret         <placeholder>
//		secret_file    <path>
//		ttl            <duration>
//		admin_key_file <path>
//		file           <path>
//	}
func Bootstrap(d *caddyfile.Dispenser, c *management.BootstrapConfig) error {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.ArgErr()
		}
		c.Off = true
	}
	return Options{
		"secret":         Text(&c.Secret, bootstrapSecret),
		"secret_file":    Text(&c.SecretFile),
		"ttl":            Span(&c.TTL),
		"admin_key_file": Text(&c.AdminKeyFile),
		"file":           Text(&c.File),
	}.Read(d, "bootstrap", func() error { return c.Validate() })
}

func bootstrapSecret(d *caddyfile.Dispenser, _, secret string) error {
	if !strings.HasPrefix(secret, "{") || strings.Contains(secret, "{http.request.") {
		return d.Err("bootstrap: secret: want a placeholder such as {env.BOOTSTRAP_SECRET} or {file./run/secrets/bootstrap}")
	}
	return nil
}
