package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// requirement reads what a manifest must have to be pulled:
//
//	require signature {
//		key <absolute path of a PEM file, placeholder or PEM text...>
//	}
//
// One line `require signature <key...>` is the same.
func requirement(d *caddyfile.Dispenser, p *authz.Project) error {
	rule := &authz.SignatureRule{Source: source(d)}
	switch {
	case !d.NextArg():
		return d.ArgErr()
	case d.Val() != "signature":
		return d.Errf("require %s: want signature", d.Val())
	case p.RequireSignature != nil:
		return d.Err("require signature already specified: it takes several keys")
	}
	for d.NextArg() {
		if err := signatureKey(d, rule); err != nil {
			return err
		}
	}
	options := Options{"key": func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() == 0 {
			return d.ArgErr()
		}
		for d.NextArg() {
			if err := signatureKey(d, rule); err != nil {
				return err
			}
		}
		return nil
	}}
	if err := options.Read(d, "require signature"); err != nil {
		return err
	}
	if len(rule.Keys) == 0 {
		return d.Err("require signature: no key: want for example key /etc/caddy/cosign.pub")
	}
	p.RequireSignature = rule
	return nil
}

// signatureKey takes the key that the dispenser is on. What it may not be is
// a relative path: relative to what would depend on how Caddy was started.
func signatureKey(d *caddyfile.Dispenser, rule *authz.SignatureRule) error {
	key := strings.TrimSpace(d.Val())
	if !strings.HasPrefix(key, "/") && !strings.HasPrefix(key, "{") && !strings.HasPrefix(key, "-----BEGIN ") {
		return d.Errf("require signature: key %.40q: want the absolute path of a PEM file, a placeholder, or PEM text", key)
	}
	rule.Keys = append(rule.Keys, key)
	return nil
}
