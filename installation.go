package registryauth

import (
	"net/http"
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// installation is what the other side of a gateway needs to know, but the keys.
// base is where the gateway is.
func installation(base *url.URL, service string, t *tokenendpoint.Config) export.Input {
	root := base.Scheme + "://" + base.Host
	in := export.Input{
		Registry: base.Host, Realm: t.URL, Service: service, Issuer: t.Issuer,
		Algorithm: string(t.Algorithm), Libtrust: t.KeyID == tokenendpoint.KeyIDLibtrust, X5C: t.X5C,
		CertificatesURL: root + t.BundlePath(), JWKSURL: root + t.KeysPath(),
	}
	if in.Realm == "" {
		in.Realm = root + t.TokenPaths()[0]
	}
	return in
}

// installation is that of the realm as the client sees it, with the keys.
func (r *realm) installation(run *running, req *http.Request) (export.Input, error) {
	base, err := url.Parse(r.base(req))
	if err != nil {
		return export.Input{}, err
	}
	in := installation(base, r.service, &r.token)
	in.Certificates, in.JWKS = run.keys.Published()
	return in, nil
}
