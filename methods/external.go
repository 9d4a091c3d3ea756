package methods

import (
	"fmt"
	"maps"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// External is the authenticator that asks an HTTP service of the operator's
// who shows a credential.
type External struct {
	authn.ExternalConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (External) CaddyModule() caddy.ModuleInfo {
	return info(authn.ExternalName, func() caddy.Module { return new(External) })
}

// UnmarshalCaddyfile reads a service that decides who shows a credential:
//
//	external <url> {
//		credentials    password|bearer...
//		header         <name> <value>
//		prefix         <prefix>
//		cache_ttl      <duration>
//		negative_ttl   <duration>
//		timeout        <duration>
//		max_concurrent <number>
//		trust_pool     <module> …
//		insecure_url
//	}
func (e *External) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&e.URL) {
		return d.ArgErr()
	}
	if err := e.options().Read(d, "external"); err != nil {
		return err
	}
	return caddyfile.Valid(d, e.ExternalConfig)
}

func (e *External) options() caddyfile.Options {
	return caddyfile.Options{
		"credentials":    caddyfile.List(&e.Credentials),
		"header":         caddyfile.Pair(&e.Headers, caddyfile.AbsoluteFile),
		"prefix":         caddyfile.Text(&e.Prefix),
		"cache_ttl":      caddyfile.Span(&e.CacheTTL),
		"negative_ttl":   caddyfile.Span(&e.NegativeTTL),
		"timeout":        caddyfile.Span(&e.Timeout),
		"max_concurrent": caddyfile.Count(&e.MaxConcurrent),
		"trust_pool":     caddyfile.TrustPool(&e.CARaw),
		"insecure_url":   caddyfile.Flag(&e.InsecureURL),
	}
}

// Provision resolves the placeholders in the headers; it does not touch the
// network.
func (e *External) Provision(ctx caddy.Context) error {
	config := e.ExternalConfig
	config.Headers = maps.Clone(config.Headers)
	for name, value := range config.Headers {
		resolved, err := caddyfile.Resolve("header "+name, value)
		if err != nil {
			return fmt.Errorf("external %s: %w", e.URL, err)
		}
		config.Headers[name] = resolved
	}
	transport, err := e.Transport(ctx)
	if err != nil {
		return err
	}
	return e.hold(authn.ExternalName, []any{config, e.CARaw}, func() (described, error) {
		return authn.NewExternal(config, authn.Options{Transport: transport, Logger: logger("external")})
	})
}
