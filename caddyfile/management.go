package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// managementWords are the subdirectives of a management block.
var managementWords = []string{
	"prefix", "api_key", "bootstrap", "robot_max_lifetime", "token_max_lifetime", "require", "harbor_robots", "no_role_mappings",
}

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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := managementLine(d, c); err != nil {
			return err
		}
	}
	return nil
}

func managementLine(d *caddyfile.Dispenser, c *management.Config) error {
	switch d.Val() {
	case "prefix":
		if err := scalar(d, &c.Prefix); err != nil {
			return err
		}
		if !strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") || strings.HasPrefix(c.Prefix+"/", "/v2/") {
			return d.Errf("prefix %q: want a path such as /auth/api/v1, not below /v2", c.Prefix)
		}
		return nil
	case "api_key":
		return apiKey(d, c)
	case "bootstrap":
		if c.Bootstrap != nil {
			return Twice(d, "bootstrap")
		}
		c.Bootstrap = new(management.BootstrapConfig)
		return Bootstrap(d, c.Bootstrap)
	case "robot_max_lifetime":
		return duration(d, &c.RobotMaxLifetime, "")
	case "token_max_lifetime":
		return duration(d, &c.TokenMaxLifetime, "never")
	case "require":
		if !d.NextArg() || d.Val() != "from" || d.NextArg() {
			return d.Err("require: want from, that robots and access tokens say from which networks they are accepted")
		}
		c.RequireFrom = true
		return nil
	case "no_role_mappings":
		return flag(d, &c.NoRoleMappings)
	case "harbor_robots":
		return flag(d, &c.HarborRobots)
	}
	return unrecognized(d, "management", managementWords...)
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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "from" {
			return unrecognized(d, "api_key", "from")
		}
		sources, err := list(d)
		if err != nil {
			return err
		}
		for _, s := range sources {
			if _, err := authn.ParseSource(s); err != nil {
				return d.WrapErr(err)
			}
		}
		k.From = append(k.From, sources...)
	}
	c.APIKeys = append(c.APIKeys, k)
	return nil
}

// bootstrapWords are the subdirectives of a bootstrap block.
var bootstrapWords = []string{"secret", "secret_file", "ttl", "admin_key_file", "file"}

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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := bootstrapLine(d, c); err != nil {
			return err
		}
		// Checked after each line, so that an error names the line.
		if err := c.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func bootstrapLine(d *caddyfile.Dispenser, c *management.BootstrapConfig) error {
	switch d.Val() {
	case "secret":
		if err := scalar(d, &c.Secret); err != nil {
			return err
		}
		if !strings.HasPrefix(c.Secret, "{") || strings.Contains(c.Secret, "{http.request.") {
			return d.Err("bootstrap: secret: want a placeholder such as {env.BOOTSTRAP_SECRET} or {file./run/secrets/bootstrap}")
		}
		return nil
	case "secret_file":
		return scalar(d, &c.SecretFile)
	case "ttl":
		return duration(d, &c.TTL, "")
	case "admin_key_file":
		return scalar(d, &c.AdminKeyFile)
	case "file":
		return scalar(d, &c.File)
	}
	return unrecognized(d, "bootstrap", bootstrapWords...)
}
