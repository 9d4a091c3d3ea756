package trust

import (
	"strings"
	"testing"
)

// crossSiteScene has every shape of the management API, and a user whose
// password a browser would remember.
func crossSiteScene(t *testing.T) *scene {
	t.Helper()
	return start(t, `http://ADDR {
	registry_auth {
		public_url URL
		portal on
		local {
			user root {env.ROOT_HASH}
		}
		role_source application
		management {
			api_key test {env.ADMIN_KEY}
			harbor_robots
		}
		admin user:root
		project team/** {
			maintainer user:root
		}
		other_paths deny
	}
	reverse_proxy UPSTREAM
}`, nil, "ROOT_HASH="+rootHash)
}

// rootHash is of the password "root-pw".
const rootHash = "$2y$05$z937kfW3smdtzjhC80EU7.3kaCBVfYnCkV6xW1MGvgyZ8EKUKnvP6"

// TestNoOtherSiteChangesAnything sends what a page of another site can make a
// browser send, with the credential that the browser adds by itself.
func TestNoOtherSiteChangesAnything(t *testing.T) {
	s := crossSiteScene(t)
	form, plain := "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain"
	key := bearer(adminKey)
	robot := `{"name":"r","level":"system","duration":-1,"permissions":[{"kind":"project","namespace":"team","access":[{"resource":"repository","action":"pull"}]}]}`
	const api = "/auth/api/v1"
	for _, credential := range []string{basic("root", "root-pw"), key} {
		for _, from := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
			s.wants(403, "POST", api+"/signing-keys/rotate", "", credential, from, form)
			s.wants(403, "POST", api+"/robots", `{"name":"r","permissions":[]}`, credential, from, jsonBody)
			s.wants(403, "DELETE", api+"/robots/r", "", credential, from)
			s.wants(403, "PUT", api+"/role-mappings/user:mallory", `{"role":"admin"}`, credential, from, jsonBody)
			s.wants(403, "POST", "/api/v2.0/robots", robot, credential, from, plain)
			s.wants(403, "POST", api+"/admin/roleMappings", `{"principalId":"mallory","role":"ADMIN"}`, credential, from, jsonBody)
			s.wants(200, "GET", api+"/robots", "", credential, from)
		}
		// A browser that says nothing of all this can still send no JSON.
		s.wants(415, "POST", api+"/signing-keys/rotate", "", credential, form)
		s.wants(415, "POST", api+"/signing-keys/rotate", "", credential)
		s.wants(415, "DELETE", api+"/robots/r", "", credential, plain)
		s.wants(400, "POST", "/api/v2.0/robots", robot, credential, plain)
		s.wants(425, "POST", api+"/signing-keys/rotate", "", credential, jsonBody, "Early-Data: 1")
	}
	if list := s.wants(200, "GET", api+"/robots", "", key); !strings.Contains(list, `"items":[]`) {
		t.Errorf("robots: %s", list)
	}
	// Programs send none of it.
	s.wants(201, "POST", "/api/v2.0/robots", robot, key, jsonBody)
	s.wants(204, "DELETE", api+"/robots/r", "", key)
	s.wants(200, "POST", api+"/signing-keys/rotate", "", key, jsonBody)
	s.wants(200, "POST", api+"/signing-keys/rotate", "{}", basic("root", "root-pw"), jsonBody)
	own := "Origin: " + s.URL
	s.wants(200, "POST", api+"/signing-keys/rotate", "", basic("root", "root-pw"), jsonBody, own)
}

// TestNoOtherSiteStartsADeviceLogin keeps pages of other sites from filling
// the places of people who log in.
func TestNoOtherSiteStartsADeviceLogin(t *testing.T) {
	s := crossSiteScene(t)
	form := "Content-Type: application/x-www-form-urlencoded"
	for _, path := range []string{"/auth/device/code", "/auth/device/token", "/auth/revoke", "/auth/back-channel-logout"} {
		s.wants(403, "POST", path, "client_id=x", form, "Sec-Fetch-Site: cross-site")
		s.wants(403, "POST", path, "client_id=x", form, "Origin: https://evil.example")
		s.wants(425, "POST", path, "client_id=x", form, "Early-Data: 1")
	}
	s.wants(200, "POST", "/auth/device/code", "client_id=x", form)
}

// TestNoServiceWorkerBesideThePages: one of an interface behind the gateway
// could read all pages of the host.
func TestNoServiceWorkerBesideThePages(t *testing.T) {
	s := start(t, `http://ADDR {
	registry_auth {
		public_url URL
		portal on
	}
	reverse_proxy UPSTREAM
}`, nil)
	s.wants(403, "GET", "/sw.js", "", "Service-Worker: script")
	if seen := s.Upstream.requests(); len(seen) > 0 {
		t.Error("it reached the interface")
	}
	s.wants(200, "GET", "/app.js", "")
}
