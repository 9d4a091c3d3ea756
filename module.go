// Package registryauth makes Caddy the authentication and authorization front
// of any OCI registry. It verifies who sends a request, serves the Docker
// token protocol, and lets `/v2/` traffic reach the registry only when a
// policy allows it:
//
//	registry.example.com {
//		registry_auth {
//			oidc  https://sso.example.com/realms/corp registry
//			admin group:platform
//			project team-a/** {
//				developer group:team-a
//			}
//		}
//		reverse_proxy localhost:5000
//	}
//
// The package only wires: who somebody is is decided in authn, what they may
// do in authz, tokens are issued in tokenendpoint, and the Caddyfile is read
// in caddyfile.
package registryauth

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	// What registers itself.
	_ "github.com/caddy-registry-auth/caddy-registry-auth/methods"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/stores"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(AdminAPI{})
	caddy.RegisterModule(Handler{})
	caddy.RegisterModule(TokenHandler{})
	caddy.RegisterModule(Matcher{})
	caddy.RegisterModule(Provider{})
	caddy.RegisterModule(IdentityHandler{})

	httpcaddyfile.RegisterGlobalOption("registry_auth", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("registry_auth", parseHandler)
	httpcaddyfile.RegisterHandlerDirective("registry_token", parseTokenHandler)
	httpcaddyfile.RegisterHandlerDirective("registry_identity", parseIdentity)
	// Before forward_auth: behind rate limits and rewrites, in front of
	// everything that may use the identity or answer in the registry's name.
	httpcaddyfile.RegisterDirectiveOrder("registry_auth", httpcaddyfile.Before, "forward_auth")
	httpcaddyfile.RegisterDirectiveOrder("registry_token", httpcaddyfile.Before, "forward_auth")
	httpcaddyfile.RegisterDirectiveOrder("registry_identity", httpcaddyfile.Before, "forward_auth")
}

// Interface guards
var (
	_ caddy.App                         = (*App)(nil)
	_ caddy.Provisioner                 = (*App)(nil)
	_ caddy.Provisioner                 = (*Handler)(nil)
	_ caddy.Validator                   = (*Handler)(nil)
	_ caddy.CleanerUpper                = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*Handler)(nil)
	_ caddy.Provisioner                 = (*TokenHandler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*TokenHandler)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddy.Provisioner                 = (*Provider)(nil)
	_ caddyauth.Authenticator           = (*Provider)(nil)
	_ caddy.Provisioner                 = (*IdentityHandler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*IdentityHandler)(nil)
)
