package caddyfile

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// External reads a service that decides who shows a credential. With it comes
// the JSON of the module that supplies the certificate authorities to trust,
// nil if none was named.
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
func External(d *caddyfile.Dispenser) (authn.ExternalConfig, json.RawMessage, error) {
	var c authn.ExternalConfig
	var trust json.RawMessage
	if !d.AllArgs(&c.URL) {
		return c, nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "trust_pool" {
			trust, err = trustPool(d, trust)
		} else {
			err = externalLine(d, &c)
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

func externalLine(d *caddyfile.Dispenser, c *authn.ExternalConfig) error {
	switch d.Val() {
	case "credentials":
		return appendList(d, &c.Credentials)
	case "header":
		return externalHeader(d, c)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "cache_ttl":
		return duration(d, &c.CacheTTL, "")
	case "negative_ttl":
		return duration(d, &c.NegativeTTL, "")
	case "timeout":
		return duration(d, &c.Timeout, "")
	case "max_concurrent":
		var text string
		if c.MaxConcurrent != 0 {
			return d.Err("max_concurrent: given twice")
		}
		if err := scalar(d, &text); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return d.Errf("max_concurrent: %q is not a number above 0", text)
		}
		c.MaxConcurrent = n
		return nil
	case "insecure_url":
		return flag(d, &c.InsecureURL)
	}
	return unrecognized(d, "external", "credentials", "header", "prefix", "cache_ttl", "negative_ttl", "timeout", "max_concurrent",
		"trust_pool", "insecure_url")
}

func externalHeader(d *caddyfile.Dispenser, c *authn.ExternalConfig) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if _, twice := c.Headers[name]; twice {
		return d.Errf("header %s: given twice", name)
	}
	if err := noRelativeFile(d, "header", value); err != nil {
		return err
	}
	if c.Headers == nil {
		c.Headers = map[string]string{}
	}
	c.Headers[name] = value
	return nil
}

// noRelativeFile refuses {file.NAME}, which Caddy's shorthand has turned into
// a part of the request path.
func noRelativeFile(d *caddyfile.Dispenser, name, value string) error {
	if strings.Contains(value, "{http.request.") {
		return d.Errf("%s: {file.NAME} stands for a part of the request path here: write an absolute path, {file./run/secrets/NAME}", name)
	}
	return nil
}
