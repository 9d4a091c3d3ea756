package trust

import (
	"net/http"
	"testing"
)

// TestTokenSiteServesTokensOnly: a site with registry_token has no
// administration and no pages, whatever the realm has elsewhere.
func TestTokenSiteServesTokensOnly(t *testing.T) {
	s := start(t, `http://ADDR {
	@tokens header X-Site tokens
	handle @tokens {
		registry_token
		respond "elsewhere" 418
	}
	handle {
		registry_auth {
			service registry.test
			management {
				api_key test {env.ADMIN_KEY}
				harbor_robots
			}
		}
		reverse_proxy UPSTREAM
	}
}`, nil)
	const site = "X-Site: tokens"
	for _, path := range []string{
		"/auth/api/v1/whoami", "/auth/api/v1/robots", "/auth/api/v1/openapi.json", "/auth/api/v1/bootstrap", "/api/v2.0/robots",
		"/auth/", "/auth/login", "/auth/tokens", "/auth/device", "/auth/api/v1/robots%2Fx", "/v2/", "/v2/team/app/tags/list",
	} {
		s.wants(http.StatusTeapot, "GET", path, "", site, bearer(adminKey))
		s.wants(http.StatusTeapot, "POST", path, "{}", site, bearer(adminKey), jsonBody)
	}
	s.wants(http.StatusUnauthorized, "GET", "/v2/token?service=registry.test", "", site, basic("robot-x", "wrong"))
	s.wants(http.StatusOK, "GET", "/auth/api/v1/robots", "", bearer(adminKey))
}
