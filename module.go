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

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"

	// The modules that they register are the plugin.
	_ "github.com/caddy-registry-auth/caddy-registry-auth/handlers"
)

func init() {
	caddy.RegisterModule(OIDC{})
	caddy.RegisterModule(LDAP{})
	caddy.RegisterModule(BasicExchange{})
	caddy.RegisterModule(Robots{})
	caddy.RegisterModule(Workload{})
	caddy.RegisterModule(Htpasswd{})
	caddy.RegisterModule(Local{})
	caddy.RegisterModule(Bolt{})
	caddy.RegisterModule(Postgres{})
	caddy.RegisterModule(MTLS{})
	caddy.RegisterModule(TrustedHeaders{})
	caddy.RegisterModule(TokenReview{})
	caddy.RegisterModule(External{})
	caddy.RegisterModule(ServiceSecrets{})
}

// Interface guards
var (
	_ authn.Authenticator    = (*OIDC)(nil)
	_ authn.Authenticator    = (*Robots)(nil)
	_ authn.Rechecker        = (*Robots)(nil)
	_ authn.Equalizer        = (*Robots)(nil)
	_ authn.Rechecker        = (*OIDC)(nil)
	_ caddy.CleanerUpper     = (*OIDC)(nil)
	_ authn.Authenticator    = (*LDAP)(nil)
	_ authn.PeoplesPasswords = (*LDAP)(nil)
	_ caddy.CleanerUpper     = (*LDAP)(nil)
	_ authn.Authenticator    = (*BasicExchange)(nil)
	_ authn.Rechecker        = (*BasicExchange)(nil)
	_ authn.PeoplesPasswords = (*BasicExchange)(nil)
	_ authn.BreakGlass       = (*BasicExchange)(nil)
	_ caddy.CleanerUpper     = (*BasicExchange)(nil)
	_ authn.Authenticator    = (*Workload)(nil)
	_ authn.Rechecker        = (*Workload)(nil)
	_ caddy.CleanerUpper     = (*Workload)(nil)
	_ authn.Authenticator    = (*Htpasswd)(nil)
	_ authn.Rechecker        = (*Htpasswd)(nil)
	_ authn.Equalizer        = (*Htpasswd)(nil)
	_ authn.PeoplesPasswords = (*Htpasswd)(nil)
	_ caddy.CleanerUpper     = (*Htpasswd)(nil)
	_ authn.Authenticator    = (*Local)(nil)
	_ authn.Rechecker        = (*Local)(nil)
	_ authn.Equalizer        = (*Local)(nil)
	_ authn.PeoplesPasswords = (*Local)(nil)
	_ authn.BreakGlass       = (*Local)(nil)
	_ store.Opener           = (*Bolt)(nil)
	_ caddy.Provisioner      = (*Bolt)(nil)
	_ store.Opener           = (*Postgres)(nil)
	_ caddy.Provisioner      = (*Postgres)(nil)
	_ authn.Authenticator    = (*MTLS)(nil)
	_ authn.Ambient          = (*MTLS)(nil)
	_ authn.Authenticator    = (*TrustedHeaders)(nil)
	_ authn.Ambient          = (*TrustedHeaders)(nil)
	_ authn.RoleSource       = (*TrustedHeaders)(nil)
	_ authn.Authenticator    = (*TokenReview)(nil)
	_ authn.Rechecker        = (*TokenReview)(nil)
	_ caddy.CleanerUpper     = (*TokenReview)(nil)
	_ authn.Authenticator    = (*External)(nil)
	_ authn.PeoplesPasswords = (*External)(nil)
	_ authn.BreakGlass       = (*External)(nil)
	_ caddy.CleanerUpper     = (*External)(nil)
	_ authn.Authenticator    = (*ServiceSecrets)(nil)
	_ authn.Rechecker        = (*ServiceSecrets)(nil)
	_ authn.SchemeOwner      = (*ServiceSecrets)(nil)
)
