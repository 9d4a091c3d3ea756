package realm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// OwnEndpoint returns which of the realm's own endpoints a path names, or nil.
func (r *Realm) OwnEndpoint(req *http.Request) func(*Running) http.Handler {
	if req.URL.RawPath != "" {
		// Names in the management API's paths may have escaped slashes; what
		// leads to it and to everything else has one spelling.
		if r.isManagement(req.URL.EscapedPath()) {
			return func(run *Running) http.Handler { return run.api }
		}
		return nil
	}
	if endpoint := r.TokenEndpoint(req); endpoint != nil {
		return endpoint
	}
	switch path := req.URL.Path; {
	case r.isManagement(path):
		return func(run *Running) http.Handler { return run.api }
	case r.isPortal(path):
		return func(run *Running) http.Handler { return run.portal }
	}
	return nil
}

// TokenEndpoint is OwnEndpoint for a site that serves tokens and the keys that
// verify them, and nothing else of the realm.
func (r *Realm) TokenEndpoint(req *http.Request) func(*Running) http.Handler {
	if req.URL.RawPath != "" {
		return nil
	}
	switch path := req.URL.Path; {
	case slices.Contains(r.tokenPaths, path):
		return func(run *Running) http.Handler { return run.endpoint }
	case path == r.token.KeysPath():
		return func(run *Running) http.Handler { return keys.NewJWKSHandler(run.Front.Keys) }
	case path == r.token.BundlePath():
		return func(run *Running) http.Handler { return keys.NewCertificatesHandler(run.Front.Keys) }
	}
	return nil
}

// isManagement reports whether a path is the API's.
func (r *Realm) isManagement(path string) bool {
	m := r.config.Management
	if m == nil {
		return false
	}
	prefix := strings.TrimSuffix(m.Prefix, "/")
	if prefix == "" {
		prefix = management.DefaultPrefix
	}
	return strings.HasPrefix(path, prefix+"/") || m.HarborRobots && (path == management.HarborVersion || strings.HasPrefix(path, management.HarborPrefix+"/"))
}

// isPortal reports whether a path is one of the pages.
func (r *Realm) isPortal(path string) bool {
	return r.portalPrefix != "" && (strings.HasPrefix(path, r.portalPrefix) || path+"/" == r.portalPrefix)
}

// Serves reports whether tokens are issued for a service.
func (r *Realm) Serves(service string) bool {
	return service == r.names.Service || slices.Contains(r.token.ServiceAliases, service)
}

// tokenURL is the absolute URL of the token endpoint for challenges: where
// it was configured to be, else on the host that the client is talking to.
func (r *Realm) tokenURL(req *http.Request) string {
	if r.token.URL != "" {
		return r.token.URL
	}
	return r.base(req) + r.tokenPaths[0]
}

// base is the URL under which the client reaches the registry.
func (r *Realm) base(req *http.Request) string {
	if r.names.PublicURL != "" {
		return r.names.PublicURL
	}
	return gateway.RequestBase(req)
}

// installation is what the other side of the gateway needs to know, as the client sees it.
func (r *Realm) installation(run *Running, req *http.Request) (export.Input, error) {
	base, err := url.Parse(r.base(req))
	if err != nil {
		return export.Input{}, err
	}
	in := r.names.Installation(base)
	in.Certificates, in.JWKS = run.Front.Keys.Published()
	return in, nil
}
