package trust

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// idToken is a token of a provider for the client "registry", whose claims
// change has changed.
func idToken(t *testing.T, p *idp.Hostile, subject string, change func(jose.Object)) string {
	t.Helper()
	claims := maps.Clone(p.Claims(subject, "registry"))
	delete(claims, "groups")
	if change != nil {
		change(claims)
	}
	token, err := p.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tokenFor gets a registry token as docker does.
func (s *scene) tokenFor(scope, credential string) string {
	s.t.Helper()
	var answer struct{ Token string }
	body := s.wants(200, "GET", "/v2/token?service=registry&scope="+scope, "", credential)
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
		s.t.Fatalf("no token: %v: %s", err, body)
	}
	return answer.Token
}

const someManifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`

// pushes is the status of pushing a manifest.
func (s *scene) pushes(credential string) (int, string) {
	s.t.Helper()
	res, body := s.call("PUT", "/v2/team/app/manifests/latest", someManifest, credential, "Content-Type: application/vnd.oci.image.manifest.v1+json")
	return res.StatusCode, body
}

// created answers as a registry does that takes every manifest.
func created(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	case http.MethodPut:
		w.WriteHeader(http.StatusCreated)
	}
}

func TestDenyRulesDoNotOpenForTokensThatAreSilent(t *testing.T) {
	p := provider(t)
	s := start(t, `http://ADDR {
	registry_auth {
		oidc `+p.Issuer+` registry
		explain_denials
		project team/** {
			developer authenticated
			deny push group:interns claim:contractor=true
		}
	}
	reverse_proxy UPSTREAM
}`, created)
	employee := func(groups any) func(jose.Object) {
		return func(claims jose.Object) { claims["contractor"], claims["groups"] = false, groups }
	}
	for name, x := range map[string]struct {
		change func(jose.Object)
		status int
	}{
		"in another group":          {employee([]string{"dev"}), 201},
		"in no group":               {employee([]string{}), 201},
		"an intern":                 {employee([]string{"interns"}), 403},
		"no groups claim":           {func(claims jose.Object) { claims["contractor"] = false }, 403},
		"groups as objects":         {employee([]any{jose.Object{"name": "interns"}}), 403},
		"groups as a comma list":    {employee("dev,interns"), 403},
		"groups true":               {employee(true), 403},
		"groups as a mixed list":    {employee([]any{"dev", 7}), 403},
		"groups null":               {employee(nil), 403},
		"groups kept elsewhere":     {func(c jose.Object) { employee([]string{"dev"})(c); c["_claim_names"] = jose.Object{"groups": "src1"} }, 401},
		"groups too many":           {func(c jose.Object) { employee(nil)(c); delete(c, "groups"); c["hasgroups"] = true }, 401},
		"a contractor":              {func(c jose.Object) { employee([]string{})(c); c["contractor"] = true }, 403},
		"no contractor claim":       {func(c jose.Object) { c["groups"] = []string{} }, 403},
		"contractor as an object":   {func(c jose.Object) { employee([]string{})(c); c["contractor"] = jose.Object{"is": true} }, 403},
		"contractor as another one": {func(c jose.Object) { employee([]string{})(c); c["contractor"] = []any{"no"} }, 201},
	} {
		token := idToken(t, p, "alice", x.change)
		status, body := s.pushes(bearer(token))
		if status != x.status {
			t.Errorf("%s: %d, want %d: %s", name, status, x.status, body)
		}
		if x.status == 401 {
			continue
		}
		if x.status == 403 && !strings.Contains(name, "an intern") && name != "a contractor" && !strings.Contains(body, "does not say") {
			t.Errorf("%s: the answer does not say why: %s", name, body)
		}
		// The same by way of the token endpoint.
		registry := s.tokenFor("repository:team/app:pull,push", basic("alice", token))
		if status, body := s.pushes(bearer(registry)); (status == 201) != (x.status == 201) {
			t.Errorf("%s: with a registry token: %d, want %d: %s", name, status, x.status, body)
		}
	}
	seen := map[string]int{}
	for _, line := range s.Log.Since(0) {
		var e gateway.Entry
		if json.Unmarshal([]byte(line), &e) == nil && strings.Contains(line, "cannot be read") && e["level"] == "warn" {
			form, _ := e["form"].(string)
			seen[form]++
		}
	}
	for form, n := range seen {
		if n > 1 {
			t.Errorf("%d warnings that groups are %s", n, form)
		}
	}
	if len(seen) < 4 {
		t.Errorf("warnings: %v", seen)
	}
}

// TestNewDenyRuleHoldsForOldTokens: registry tokens carry the groups that rules
// look at. One from before a rule named a group does not know it.
func TestNewDenyRuleHoldsForOldTokens(t *testing.T) {
	p := provider(t)
	site := func(rule string) string {
		return `http://ADDR {
	registry_auth {
		oidc ` + p.Issuer + ` registry
		project team/** {
			developer authenticated
			` + rule + `
		}
	}
	reverse_proxy UPSTREAM
}`
	}
	s := start(t, site(""), created)
	token := idToken(t, p, "alice", func(c jose.Object) { c["groups"] = []string{"interns"} })
	registry := s.tokenFor("repository:team/app:pull,push", basic("alice", token))
	if status, body := s.pushes(bearer(registry)); status != 201 {
		t.Fatalf("%d: %s", status, body)
	}
	s.reload(site("deny push group:interns"))
	if status, body := s.pushes(bearer(registry)); status != 401 {
		t.Errorf("with the token from before: %d: %s", status, body)
	}
	registry = s.tokenFor("repository:team/app:pull,push", basic("alice", token))
	if status, body := s.pushes(bearer(registry)); status == 201 {
		t.Errorf("with a new token: %d: %s", status, body)
	}
	other := idToken(t, p, "bob", func(c jose.Object) { c["groups"] = []string{"dev"} })
	if status, body := s.pushes(bearer(s.tokenFor("repository:team/app:pull,push", basic("bob", other)))); status != 201 {
		t.Errorf("who is in another group: %d: %s", status, body)
	}
}

// TestDenyRulesDoNotOpenAroundTheProxy: roles that a proxy adds are not none for
// a request that came without them.
func TestDenyRulesDoNotOpenAroundTheProxy(t *testing.T) {
	s := start(t, `{
	servers {
		trusted_proxies static 127.0.0.1
	}
}
http://ADDR {
	registry_auth {
		service registry.test
		local {
			user alice {env.PASSWORD}
		}
		trusted_headers {
			roles X-Registry-Roles
		}
		project team/** {
			developer authenticated
			deny push role:contractor
		}
	}
	reverse_proxy UPSTREAM
}`, nil, "PASSWORD="+stage.LocalHash)
	alice := basic("alice", stage.LocalPassword)
	const push = "/v2/team/app/blobs/uploads/"
	s.wants(http.StatusForbidden, "POST", push, "", alice, "X-Registry-Roles: contractor")
	s.wants(http.StatusOK, "POST", push, "", alice, "X-Registry-Roles: employee")
	s.wants(http.StatusForbidden, "POST", push, "", alice)
	s.wants(http.StatusOK, "GET", "/v2/team/app/tags/list", "", alice)
}

// TestRequiredClaimsAreRequiredEverywhere: where a provider's tokens must have a
// claim, one without it or with one that cannot be read is refused, whichever way
// it is shown. Forms that are configured can be read.
func TestRequiredClaimsAreRequiredEverywhere(t *testing.T) {
	p := provider(t)
	s := start(t, `http://ADDR {
	registry_auth {
		oidc `+p.Issuer+` registry {
			groups teams comma
			roles projects[].path
			require_claim teams department
		}
		project team/** {
			developer group:dev
			maintainer role:acme/app
			deny push group:interns
		}
	}
	reverse_proxy UPSTREAM
}`, created)
	for name, x := range map[string]struct {
		claims jose.Object
		status int
	}{
		"all":                   {jose.Object{"department": "it", "teams": "dev,ops"}, 201},
		"an intern":             {jose.Object{"department": "it", "teams": "dev, interns"}, 403},
		"roles as objects":      {jose.Object{"department": "it", "teams": []string{}, "projects": []jose.Object{{"path": "acme/app"}}}, 201},
		"no department":         {jose.Object{"teams": "dev"}, 401},
		"department null":       {jose.Object{"department": nil, "teams": "dev"}, 401},
		"no teams":              {jose.Object{"department": "it"}, 401},
		"teams unread":          {jose.Object{"department": "it", "teams": `["dev"]`}, 401},
		"teams read in part":    {jose.Object{"department": "it", "teams": []any{"dev", 7}}, 401},
		"groups, another claim": {jose.Object{"department": "it", "groups": []string{"dev"}}, 401},
	} {
		token := idToken(t, p, "alice", func(claims jose.Object) { maps.Copy(claims, x.claims) })
		for way, credential := range map[string]string{"as a token": bearer(token), "as a password": basic("alice", token)} {
			if status, body := s.pushes(credential); status != x.status {
				t.Errorf("%s, %s: %d, want %d: %s", name, way, status, x.status, body)
			}
		}
		if res, body := s.call("GET", "/v2/token?service=registry&scope=repository:team/app:pull,push", "", basic("alice", token)); (res.StatusCode == 401) != (x.status == 401) {
			t.Errorf("%s, for a registry token: %d: %s", name, res.StatusCode, body)
		}
	}
}
