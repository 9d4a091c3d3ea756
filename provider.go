package registryauth

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Provider gives Caddy's own `authentication` handler the identities of a
// realm, for a registry's user interface or any other route. A registry
// token is no identity there: it is made for the registry API only. That
// handler answers every refusal with 401; the `registry_identity` handler
// tells who may not from who is not known.
type Provider struct {
	// The realm whose authenticators are asked. Default: the only one.
	Realm string `json:"realm,omitempty"`

	// Who may read, that is GET and HEAD: subjects as in policies. `anyone`
	// needs no credential. Without any of these four settings everybody who
	// is signed in may do everything; with one of them, nobody who is not named.
	Read []string `json:"read,omitempty"`

	// Who may use all other methods, and read.
	Write []string `json:"write,omitempty"`

	// Who may do everything, also at the paths of administrators.
	Admin []string `json:"admin,omitempty"`

	// The paths that only administrators may use, by any method. A `*` at the
	// end stands for everything that begins so. Upper and lower case do not
	// differ.
	AdminPaths []string `json:"admin_paths,omitempty"`

	app    *App
	access *routeAccess
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.registry_auth", New: func() caddy.Module { return new(Provider) }}
}

// Provision finds the app; the realm is looked up when it is used, since the
// site that declares it may be provisioned later.
func (p *Provider) Provision(ctx caddy.Context) error {
	var err error
	if p.access, err = newRouteAccess(p); err != nil {
		return err
	}
	if p.app, err = appOf(ctx); err != nil {
		return err
	}
	p.app.realms.want(p.Realm)
	p.app.realms.mention(p.Realm, p.Read, p.Write, p.Admin)
	return nil
}

// Authenticate checks the request's credential with the realm. Without one
// where one is needed, or with one that does not hold, it asks for HTTP Basic.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	principal, refusal := p.identify(w, r)
	switch {
	case refusal == nil:
		return user(principal), true, nil
	case refusal.status == http.StatusUnauthorized:
		return caddyauth.User{}, false, nil
	}
	return caddyauth.User{}, false, refusal.err
}

// user is a principal in Caddy's words.
func user(p *authn.Principal) caddyauth.User {
	return caddyauth.User{ID: p.Name, Metadata: map[string]string{
		"kind":       string(p.Kind),
		"groups":     strings.Join(p.Groups, ","),
		"roles":      strings.Join(p.Roles, ","),
		"subject":    p.Subject,
		"issuer":     p.Issuer,
		"credential": p.Credential,
	}}
}

func authenticateFor(run *running, r *http.Request) (*authn.Principal, error) {
	credential, err := run.credential(r)
	if err != nil {
		return nil, err
	}
	return run.chain.Authenticate(r.Context(), credential)
}

// askForBasic sets the challenge that browsers know.
func askForBasic(w http.ResponseWriter, realm *realm) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", realm.service))
}
