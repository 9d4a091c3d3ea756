package caddyfile

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TokenReview reads a Kubernetes API server. With it comes the JSON of the
// module that supplies the certificate authorities to trust, nil if none was
// named.
//
//	token_review <server> {
//		audience   <audience...>
//		issuer     <issuer...>
//		account    <namespace/name...>
//		prefix     <prefix>
//		token_file <absolute path>
//		cache_ttl  <duration>
//		timeout    <duration>
//		trust_pool <module> …
//		insecure_server
//	}
func TokenReview(d *caddyfile.Dispenser) (authn.TokenReviewConfig, json.RawMessage, error) {
	var c authn.TokenReviewConfig
	var trust json.RawMessage
	if !d.AllArgs(&c.Server) {
		return c, nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "trust_pool" {
			trust, err = trustPool(d, trust)
		} else {
			err = tokenReviewLine(d, &c)
		}
		if err != nil {
			return c, nil, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, nil, d.WrapErr(err)
	}
	return c, trust, nil
}

func tokenReviewLine(d *caddyfile.Dispenser, c *authn.TokenReviewConfig) error {
	switch d.Val() {
	case "audience":
		if err := appendList(d, &c.Audiences); err != nil {
			return err
		}
		return noPlaceholder(d, "audience", c.Audiences)
	case "issuer":
		return appendList(d, &c.Issuers)
	case "account":
		return appendList(d, &c.Accounts)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "token_file":
		return scalar(d, &c.TokenFile)
	case "cache_ttl":
		return duration(d, &c.CacheTTL, "")
	case "timeout":
		return duration(d, &c.Timeout, "")
	case "insecure_server":
		return flag(d, &c.InsecureServer)
	}
	return unrecognized(d, "token_review", "audience", "issuer", "account", "prefix", "token_file", "cache_ttl", "timeout",
		"trust_pool", "insecure_server")
}
