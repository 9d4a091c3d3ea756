package registryauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// apicurioSite is the first Caddyfile of docs/apicurio.md, for this machine.
func apicurioSite(t *testing.T, g *gateway, issuer, address string) string {
	t.Helper()
	for _, b := range documentedCaddyfiles(t) {
		if b.file == "docs/apicurio.md" && b.heading == "## Apicurio Registry" {
			text := strings.NewReplacer(
				"schemas.example.com {", "http://"+address+" {", "https://sso.example.com/realms/corp", issuer,
				"localhost:8080", g.upstream.URL,
			).Replace(b.text)
			global, _, _ := strings.Cut(g.caddyfile(""), "\n}\n")
			return global + "\n}\n" + text
		}
	}
	t.Fatal("docs/apicurio.md has no Caddyfile for Apicurio")
	return ""
}

// TestApicurioOrder asks the documented gateway what Apicurio's own order of
// decisions would be asked, with a server behind it that believes the headers.
func TestApicurioOrder(t *testing.T) {
	g := startGateway(t, standardRealm)
	provider := newJobIssuer(t)
	address := freeAddress(t)
	g.url = "http://" + address
	person := func(name string, more map[string]any, roles ...string) option {
		claims := map[string]any{
			"aud": "registry-api", "sub": "id-" + name, "preferred_username": name, "email": name + "@example.com",
			"groups": []string{"dev", "a,b"}, "realm_access": map[string]any{"roles": roles},
		}
		for k, v := range more {
			claims[k] = v
		}
		return bearer(provider.token(t, claims))
	}
	const artifacts, admin = "/apis/registry/v3/groups/default/artifacts", "/apis/registry/v3/admin/roleMappings"
	nobody := person("nick", nil, "other")
	reader, developer := person("rita", nil, "sr-readonly"), person("dave", nil, "sr-developer")
	boss := person("anna", nil, "sr-admin")
	orgAdmin, breakGlass := person("olga", map[string]any{"org-admin": true}), person("break-glass", nil)
	wrong := bearer(provider.token(t, map[string]any{"aud": "another"}))

	type row struct {
		name, method, path string
		who                option
		status             int
		user, role         string
	}
	for _, variant := range []struct {
		read string
		rows []row
	}{
		{"read anyone", []row{
			{"anonymous read", "GET", artifacts, nil, 200, "", ""},
			{"anonymous head", "HEAD", artifacts, nil, 200, "", ""},
			{"anonymous write", "POST", artifacts, nil, 401, "", ""},
			{"anonymous delete", "DELETE", artifacts + "/x", nil, 401, "", ""},
			{"anonymous administration", "GET", admin, nil, 401, "", ""},
			{"a wrong credential is not anonymous", "GET", artifacts, wrong, 401, "", ""},
			{"authenticated read", "GET", artifacts, nobody, 200, "nick", "sr-readonly"},
			{"write without a role", "POST", artifacts, nobody, 403, "", ""},
			{"read-only writes", "PUT", artifacts + "/x", reader, 403, "", ""},
			{"developer writes", "POST", artifacts, developer, 200, "dave", "sr-developer"},
			{"developer administers", "GET", admin, developer, 403, "", ""},
			{"admin writes", "POST", artifacts, boss, 200, "anna", "sr-admin"},
			{"admin administers", "POST", admin, boss, 200, "anna", "sr-admin"},
			{"admin override by claim", "DELETE", admin + "/x", orgAdmin, 200, "olga", "sr-admin"},
			{"admin override by user", "POST", artifacts, breakGlass, 200, "break-glass", "sr-admin"},
			{"registry API", "GET", manifest, nil, 401, "", ""},

			{"admin in capitals", "GET", "/apis/registry/v3/ADMIN/rules", developer, 403, "", ""},
			{"admin encoded", "GET", "/apis/registry/v3/%61dmin/rules", developer, 403, "", ""},
			{"admin with encoded slashes", "GET", "/apis%2Fregistry%2Fv3%2Fadmin%2Frules", developer, 403, "", ""},
			{"the folder itself", "GET", "/apis/registry/v3/admin", developer, 403, "", ""},
			{"matrix parameter", "GET", "/apis/registry/v3/admin;x=1/rules", developer, 400, "", ""},
			{"encoded matrix parameter", "GET", "/apis/registry/v3/admin%3Bx=1/rules", developer, 400, "", ""},
			{"dots", "GET", "/apis/registry/v3/x/..;/admin/rules", developer, 400, "", ""},
			{"encoded dots", "GET", "/apis/registry/v3/x/%2e%2e/admin/rules", developer, 400, "", ""},
			{"empty segment", "GET", "/apis/registry/v3//admin/rules", developer, 400, "", ""},
			{"encoded twice", "GET", "/apis/registry/v3/%2561dmin/rules", developer, 400, "", ""},
			{"backslash", "GET", "/apis/registry/v3%5Cadmin/rules", developer, 400, "", ""},
			{"id with a slash", "GET", "/apis/registry/v3/groups/default/artifacts/com.example%2FOrder", developer, 200, "dave", "sr-developer"},
		}},
		{"read authenticated", []row{
			{"anonymous read", "GET", artifacts, nil, 401, "", ""},
			{"authenticated read", "GET", artifacts, nobody, 200, "nick", "sr-readonly"},
			{"write without a role", "POST", artifacts, nobody, 403, "", ""},
		}},
		{"read role:sr-readonly", []row{
			{"anonymous read", "GET", artifacts, nil, 401, "", ""},
			{"read without a role", "GET", artifacts, nobody, 403, "", ""},
			{"read-only reads", "GET", artifacts, reader, 200, "rita", "sr-readonly"},
			{"developer reads", "GET", artifacts, developer, 200, "dave", "sr-developer"},
			{"admin reads", "GET", artifacts, boss, 200, "anna", "sr-admin"},
		}},
	} {
		text := strings.Replace(apicurioSite(t, g, provider.URL, address), "read anyone", variant.read, 1)
		if err := loadCaddyfile(t, text); err != nil {
			t.Fatal(err)
		}
		g.client.CloseIdleConnections()
		for _, test := range variant.rows {
			t.Run(fmt.Sprintf("%s/%s", variant.read, test.name), func(t *testing.T) {
				options := []option{
					header("X-Forwarded-User", "evil"), header("x_forwarded_groups", "evil"), header("X.Forwarded-Email", "evil"),
					header("X-Registry-Role", "sr-admin"), header("X_REGISTRY_ROLE", "sr-admin"),
					header("X-HTTP-Method-Override", "DELETE"), header("X-Original-URL", admin),
				}
				if test.who != nil {
					options = append(options, test.who)
				}
				a := g.do(test.method, test.path, "", options...)
				if a.StatusCode != test.status {
					t.Fatalf("%d %s, want %d", a.StatusCode, a.body, test.status)
				}
				if test.status == 401 && a.Header.Get("WWW-Authenticate") == "" {
					t.Error("401 without a challenge")
				}
				seen := g.upstream.seen()
				if test.status != 200 {
					if len(seen) > 0 {
						t.Errorf("the server got %v", seen[0])
					}
					return
				}
				checkIdentity(t, seen[0].Header, test.user, test.role)
			})
		}
	}
	if lines := g.logLines("registry route"); len(lines) < 20 {
		t.Errorf("%d audit lines", len(lines))
	}
}

// checkIdentity wants the headers of a user of the test, or none, and nothing
// of what clients said.
func checkIdentity(t *testing.T, h http.Header, user, role string) {
	t.Helper()
	email, groups := "", ""
	if user != "" {
		email, groups = user+"@example.com", "dev"
	}
	for name, want := range map[string]string{
		"X-Forwarded-User": user, "X-Forwarded-Email": email, "X-Forwarded-Groups": groups, "X-Registry-Role": role, "Authorization": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, values := range h {
		switch strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name)) {
		case "x-http-method-override", "x-original-url":
			t.Errorf("%s reached the server", name)
		}
		if strings.Contains(strings.Join(values, ""), "evil") {
			t.Errorf("%s: %q reached the server", name, values)
		}
	}
}

// Requests to the registry API have the headers too, also with a registry
// token, and never those of the client.
func TestIdentityHeadersOfRegistryRequests(t *testing.T) {
	provider := newJobIssuer(t)
	realm := `
	public_url http://registry.test
	oidc ` + provider.URL + ` registry
	identity_headers {
		user Remote-User
		role_value writer group:dev
	}
	anonymous_read public/**
	project team/** {
		developer user:alice
		robot ci pull push {
			secret_hash HASH
		}
	}
`
	g := startGateway(t, realm)
	alice := bearer(provider.token(t, map[string]any{
		"aud": "registry", "sub": "1", "preferred_username": "alice", "email": "alice@example.com", "groups": []string{"ops", "dev"},
	}))
	unverified := bearer(provider.token(t, map[string]any{
		"aud": "registry", "sub": "1", "preferred_username": "alice", "email": "alice@example.com", "email_verified": false,
	}))
	for name, test := range map[string]struct {
		path                      string
		who                       []option
		user, email, groups, role string
	}{
		"ID token":       {manifest, []option{alice}, "alice", "alice@example.com", "ops,dev", "writer"},
		"registry token": {manifest, []option{bearer(g.token("repository:team/app:pull", alice))}, "alice", "alice@example.com", "ops,dev", "writer"},
		"unverified":     {manifest, []option{bearer(g.token("repository:team/app:pull", unverified))}, "alice", "", "", ""},
		"robot":          {manifest, []option{basic("robot-ci", g.robot)}, "robot:ci", "", "", ""},
		"anonymous":      {"/v2/public/app/manifests/x", nil, "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			options := append(test.who,
				header("Remote-User", "evil"), header("remote_user", "evil"), header("X-Forwarded-Email", "evil"), header("X_Forwarded_Groups", "evil"),
				header("X-Registry-Role", "evil"))
			if a := g.do("GET", test.path, "", options...); a.StatusCode != 200 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			h := g.upstream.seen()[0].Header
			for name, want := range map[string]string{
				"Remote-User": test.user, "X-Forwarded-Email": test.email, "X-Forwarded-Groups": test.groups, "X-Registry-Role": test.role,
			} {
				if got := strings.Join(h.Values(name), "|"); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			for name, values := range h {
				if strings.Contains(strings.Join(values, ""), "evil") {
					t.Errorf("%s: %q reached the registry", name, values)
				}
			}
		})
	}
}

func TestIdentityHeadersSettings(t *testing.T) {
	g := startGateway(t, standardRealm)
	for lines, want := range map[string]string{
		"user Authorization":               "begins with X- or Remote-",
		"user Host":                        "begins with X- or Remote-",
		"user X-Forwarded-For":             "begins with X- or Remote-",
		"user X-Request-Id":                "begins with X- or Remote-",
		"user X_User":                      "begins with X- or Remote-",
		"email X-Forwarded-User":           "used twice",
		"role_value admin boss":            "subject",
		"role_value admin":                 "at least one subject",
		"usr X-User":                       "did you mean",
		"role_value `a b ` group:x":        "want a word",
		"groups x-forwarded-user":          "used twice",
		"role x.role\nrole_value a user:b": "begins with X- or Remote-",
	} {
		err := g.tryLoad(standardRealm + "identity_headers {\n" + lines + "\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", lines, err, want)
		}
	}
}

func TestRegistryIdentitySettings(t *testing.T) {
	g := startGateway(t, standardRealm)
	for lines, want := range map[string]string{
		"raed anyone":        "did you mean",
		"read":               "wrong argument count",
		"write anyone":       "for reading only",
		"admin anyone":       "for reading only",
		"read everybody":     "subject",
		"admin_path admin/*": "want a path",
		"admin_path /a/*/b":  "want a path",
		"admin_path /a/../b": "want a path",
		"admin_path /a;b":    "want a path",
	} {
		text := g.caddyfile(strings.ReplaceAll(standardRealm, "HASH", g.hash)) + "http://" + freeAddress(t) + " {\nregistry_identity {\n" + lines + "\n}\n}\n"
		if err := loadCaddyfile(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", lines, err, want)
		}
	}
}

// Without a matcher registry_identity stands behind registry_auth also for the
// registry API, where everything is decided already.
func TestRegistryIdentityLeavesTheRegistryAPIAlone(t *testing.T) {
	g := startGateway(t, standardRealm)
	realm := strings.Replace(standardRealm, "robot ci", "immutable v*\n\t\trobot ci", 1) + "identity_headers\n"
	site := strings.Replace(g.caddyfile(strings.ReplaceAll(realm, "HASH", g.hash)), "\treverse_proxy", "\tregistry_identity {\n\t\tread group:x\n\t}\n\treverse_proxy", 1)
	if err := loadCaddyfile(t, site); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections()
	robot := basic("robot-ci", g.robot)
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 {
		t.Errorf("pull: %d %s", a.StatusCode, a.body)
	}
	if seen := g.upstream.seen(); len(seen) != 1 || seen[0].Header.Get("X-Forwarded-User") != "robot:ci" {
		t.Errorf("the registry saw %v", seen)
	}
	// The registry is asked whether the tag exists, through the same handlers.
	if a := g.do("PUT", "/v2/team/app/manifests/v1", "{}", robot, header("Content-Type", "application/vnd.oci.image.manifest.v1+json")); a.StatusCode != 412 {
		t.Errorf("push of an immutable tag: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/ui", "", robot); a.StatusCode != 403 {
		t.Errorf("the rest of the site: %d", a.StatusCode)
	}
}
