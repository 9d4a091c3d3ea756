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
	// The modules that these register are the plugin.
	_ "github.com/caddy-registry-auth/caddy-registry-auth/command"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/credentials"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/handlers"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/methods"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/stores"
)
