package stage

import (
	"fmt"
	"net"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
)

// UpstreamUser and UpstreamPassword are what the gateway shows the registry.
const (
	UpstreamUser     = "gateway"
	UpstreamPassword = "known-to-gateway-and-registry-only"
)

// Config returns what the gateway is configured with.
func (s *Stage) Config() (gateway.Config, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return gateway.Config{}, fmt.Errorf("listen address: %w", err)
	}
	env := append([]string{"UPSTREAM_PASSWORD=" + UpstreamPassword}, s.options.Env...)
	for name, r := range s.Robots {
		env = append(env, "HASH_"+strings.ToUpper(name)+"="+r.Stored)
	}
	registry, guard := s.Direct.URL, ""
	if s.Guard != nil {
		registry, guard = s.Guard.URL, s.Guard.URL
	}
	if s.Recorder != nil {
		registry = s.Recorder.URL
	}
	issuer := s.options.Issuer
	if issuer == "" {
		issuer = s.IdP.Issuer
	}
	upstreamAuth := s.options.UpstreamAuth
	if upstreamAuth == "" {
		upstreamAuth = "basic " + UpstreamUser + " {env.UPSTREAM_PASSWORD}"
	}
	token, realm, signIn, log := s.options.Token, s.options.Realm, "", ""
	if s.options.Managed {
		realm, signIn, log = realm+managedRealm, managedSignIn, managedLog
		if !s.options.NoIdentityTokens {
			token += managedToken
		}
		env = append(env, "BOOTSTRAP_SECRET="+s.BootstrapSecret, "CLIENT_SECRET="+idp.ClientSecret, "HASH_ALICE="+LocalHash)
	}
	public := s.options.Public
	if public == "" {
		public = s.URL
	}
	replace := strings.NewReplacer(
		"PUBLIC", public, "HOST", host, "PORT", port, "SERVICE", Service, "CLIENT", Client,
		"ISSUER_A", issuer, "ISSUER_B", s.SecondIdP.Issuer, "ISSUER_CI", s.CI.Issuer, "JOB", Job,
		"TOKEN_LINES", token, "REALM_LINES", realm, "SIGN_IN_LINES", signIn, "LOG_LINES", log,
		"UPSTREAM_AUTH", strings.ReplaceAll(upstreamAuth, "GUARD", guard), "REGISTRY", registry,
	)
	return gateway.Config{
		Global:   strings.Replace(globalOptions, "SERVERS_LINES", s.options.Servers, 1),
		Sites:    replace.Replace(site),
		Env:      env,
		ReadyURL: s.URL + "/v2/",
	}, nil
}

// globalOptions let large requests through to the gateway's own limits, which
// the tests are about.
const globalOptions = `	servers {
		max_header_size 4MiB
		SERVERS_LINES
	}`

// site answers any Host on its port: what the gateway says of itself must
// come from public_url.
const site = `
http://:PORT {
	bind HOST
	log LOG_LINES
	registry_auth {
		public_url PUBLIC
		service SERVICE
		oidc ISSUER_A CLIENT {
			username preferred_username
			groups groups
			jwks_max_age 2s
			SIGN_IN_LINES
		}
		oidc ISSUER_B CLIENT {
			prefix second-
		}
		workload github ISSUER_CI {
			audience SERVICE
			require sub JOB
		}
		token {
			path /v2/token /token
			TOKEN_LINES
		}
		REALM_LINES
		other_paths deny
		upstream_auth UPSTREAM_AUTH
		admin group:registry-admins
		project team/** {
			maintainer group:team-maintainers
			guest workload:github
			robot ci pull push {
				secret_hash {env.HASH_CI}
			}
			robot reader pull {
				secret_hash {env.HASH_READER}
			}
			robot janitor pull push delete {
				secret_hash {env.HASH_JANITOR}
			}
			robot exp pull push {
				secret_hash {env.HASH_EXP}
				expires 2024-01-01T00:00:00Z
			}
			robot dis pull push {
				secret_hash {env.HASH_DIS}
				disabled
			}
			robot longpw pull {
				secret_hash {env.HASH_LONGPW}
			}
		}
		project team/app {
			guest user:bob
		}
		project other/** {
			maintainer group:other-maintainers
		}
		project pub/** {
			guest anyone
			maintainer user:mallory
			robot dev pull push {
				secret_hash {env.HASH_DEV}
			}
		}
	}
	reverse_proxy REGISTRY
}
`
