package registryauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Provider gives Caddy's own `authentication` handler the identities of a
// realm, for a registry's user interface or any other route. A registry
// token is no identity there: it is made for the registry API only.
type Provider struct {
	// The realm whose authenticators are asked. Default: the only one.
	Realm string `json:"realm,omitempty"`

	app *App
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.registry_auth", New: func() caddy.Module { return new(Provider) }}
}

// Provision finds the app; the realm is looked up when it is used, since the
// site that declares it may be provisioned later.
func (p *Provider) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	p.app = app
	p.app.realms.want(p.Realm)
	return nil
}

var errRealmNotReady = errors.New("the realm is not ready")

// Authenticate checks the request's credential with the realm. Without one,
// or with one that does not hold, it asks for HTTP Basic.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	realm, err := p.app.realms.realm(p.Realm)
	if err != nil {
		return caddyauth.User{}, false, err
	}
	run := realm.running.Load()
	if run == nil || !realm.lease.acquire() {
		return caddyauth.User{}, false, errRealmNotReady
	}
	defer realm.lease.done()
	principal, err := authenticateFor(run, r)
	realm.dropForeignIdentity(r)
	if errors.Is(err, authn.ErrUnavailable) {
		return caddyauth.User{}, false, err
	}
	if err != nil || principal.IsAnonymous() || principal.Credential == authn.CredentialRegistryToken {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", realm.service))
		return caddyauth.User{}, false, nil
	}
	return caddyauth.User{ID: principal.Name, Metadata: map[string]string{
		"kind":       string(principal.Kind),
		"groups":     strings.Join(principal.Groups, ","),
		"roles":      strings.Join(principal.Roles, ","),
		"subject":    principal.Subject,
		"issuer":     principal.Issuer,
		"credential": principal.Credential,
	}}, true, nil
}

func authenticateFor(run *running, r *http.Request) (*authn.Principal, error) {
	credential, err := run.credential(r)
	if err != nil {
		return nil, err
	}
	return run.chain.Authenticate(r.Context(), credential)
}

// parseProvider reads the directive `registry_identity`:
//
//	registry_identity [<matcher>] [<realm>]
func parseProvider(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	var p Provider
	if h.NextArg() {
		p.Realm = h.Val()
	}
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	return caddyauth.Authentication{ProvidersRaw: caddy.ModuleMap{
		"registry_auth": caddyconfig.JSON(p, nil),
	}}, nil
}
