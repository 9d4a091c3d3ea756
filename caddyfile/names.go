package caddyfile

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// Names are what a realm calls itself.
type Names struct {
	PublicURL string // without a trailing slash; empty: follow the request
	Service   string
	Token     tokenendpoint.Config // with an issuer
}

// Names fills in the names that the configuration leaves out.
func (c *Config) Names() (names Names, err error) {
	if names.PublicURL, err = parsePublicURL(c.PublicURL); err != nil {
		return names, err
	}
	if names.Service = c.Service; names.Service == "" {
		if names.Service = "registry"; names.PublicURL != "" {
			u, _ := url.Parse(names.PublicURL)
			names.Service = u.Host
		}
	}
	names.Token = c.Token
	names.Token.Issuer = cmp.Or(c.Token.Issuer, names.PublicURL, names.Service)
	return names, nil
}

// Installation is what the other side of a gateway needs to know, but the keys.
// Base is where the gateway is.
func (n *Names) Installation(base *url.URL) export.Input {
	root, t := base.Scheme+"://"+base.Host, &n.Token
	in := export.Input{
		Registry: base.Host, Realm: t.URL, Service: n.Service, Issuer: t.Issuer,
		Algorithm: string(t.Algorithm), Libtrust: t.KeyID == keys.Libtrust, X5C: t.X5C,
		CertificatesURL: root + t.BundlePath(), JWKSURL: root + t.KeysPath(),
	}
	if in.Realm == "" {
		in.Realm = root + t.TokenPaths()[0]
	}
	return in
}

// parsePublicURL checks the URL and returns it without a trailing slash.
func parsePublicURL(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("public_url: %w", err)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("public_url %q: want https://host[:port]", raw)
	}
	if u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("public_url %q: a registry must own /v2/ at the root of its host, it cannot live below %s", raw, u.Path)
	}
	return u.Scheme + "://" + u.Host, nil
}
