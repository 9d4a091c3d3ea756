package registryauth_test

import (
	"strings"
	"testing"
)

const manifest = "/v2/team/app/manifests/v1"

// TestAnswers walks through the table of answers that clients depend on.
func TestAnswers(t *testing.T) {
	g := startGateway(t, standardRealm)
	pull := g.token("repository:team/app:pull", basic("robot$ci", g.robot))
	empty := g.token("repository:other/app:pull", basic("robot$ci", g.robot))
	anonymous := g.token("repository:public/app:pull")
	challenge := `Bearer realm="http://registry.test/v2/token",service="registry.test"`

	tests := []struct {
		name, method, path string
		options            []option
		status             int
		code               string
		challenge          string // "" none
		forwarded          bool
	}{
		{"base without credential", "GET", "/v2/", nil, 401, "UNAUTHORIZED", challenge, false},
		{"base without slash", "GET", "/v2", nil, 401, "UNAUTHORIZED", challenge, false},
		{"base with robot", "GET", "/v2/", []option{basic("robot$ci", g.robot)}, 200, "", "", false},
		{"base with token", "GET", "/v2/", []option{bearer(pull)}, 200, "", "", false},
		{"base with anonymous token", "GET", "/v2/", []option{bearer(anonymous)}, 200, "", "", false},
		{"anonymous may", "GET", "/v2/public/app/manifests/v1", nil, 200, "", "", true},
		{"anonymous may not", "GET", manifest, nil, 401, "UNAUTHORIZED", challenge + `,scope="repository:team/app:pull"`, false},
		{"anonymous push", "POST", "/v2/public/app/blobs/uploads/", nil, 401, "UNAUTHORIZED", challenge + `,scope="repository:public/app:pull,push"`, false},
		{
			"anonymous mount", "POST", "/v2/team/app/blobs/uploads/?mount=sha256:" + strings.Repeat("a", 64) + "&from=public/app", nil, 401, "UNAUTHORIZED",
			challenge + `,scope="repository:team/app:pull,push repository:public/app:pull"`, false,
		},
		{"wrong secret", "GET", manifest, []option{basic("robot$ci", "wrong")}, 401, "UNAUTHORIZED", challenge + `,scope="repository:team/app:pull",error="invalid_token"`, false},
		{"wrong secret on public", "GET", "/v2/public/app/manifests/v1", []option{basic("x", "wrong")}, 401, "UNAUTHORIZED", challenge + `,scope="repository:public/app:pull",error="invalid_token"`, false},
		{"wrong token", "GET", manifest, []option{bearer(pull + "x")}, 401, "UNAUTHORIZED", challenge + `,scope="repository:team/app:pull",error="invalid_token"`, false},
		{"token", "GET", manifest, []option{bearer(pull)}, 200, "", "", true},
		{"token too small", "PUT", manifest, []option{bearer(pull)}, 401, "DENIED", challenge + `,scope="repository:team/app:pull,push",error="insufficient_scope"`, false},
		{"token without access", "GET", manifest, []option{bearer(empty)}, 401, "DENIED", challenge + `,scope="repository:team/app:pull",error="insufficient_scope"`, false},
		{"robot directly", "PUT", manifest, []option{basic("robot-ci", g.robot)}, 200, "", "", true},
		{"robot not granted", "GET", "/v2/other/app/manifests/v1", []option{basic("robot$ci", g.robot)}, 403, "DENIED", "", false},
		{"robot may not delete", "DELETE", manifest, []option{basic("robot$ci", g.robot)}, 403, "DENIED", "", false},
		{"cancel needs push only", "DELETE", "/v2/team/app/blobs/uploads/u1", []option{basic("robot$ci", g.robot)}, 200, "", "", true},
		{"bad name", "GET", "/v2/Team/app/manifests/v1", []option{bearer(pull)}, 400, "NAME_INVALID", "", false},
		{"bad digest", "GET", "/v2/team/app/blobs/sha256:abc", []option{bearer(pull)}, 400, "DIGEST_INVALID", "", false},
		{"unknown route", "GET", "/v2/_zot/ext/mgmt", []option{bearer(pull)}, 404, "", "", false},
		{"encoded slash", "GET", "/v2/team%2fapp/manifests/v1", []option{bearer(pull)}, 400, "", "", false},
		{"encoded v2", "GET", "/%762/team/app/manifests/v1", []option{bearer(pull)}, 400, "", "", false},
		{"two credentials", "GET", manifest, []option{bearer(pull), bearer(pull)}, 400, "", "", false},
		{"catalog", "GET", "/v2/_catalog", []option{basic("robot$ci", g.robot)}, 403, "DENIED", "", false},
		{"form body", "POST", "/v2/team/app/blobs/uploads/", []option{bearer(pull), header("Content-Type", "application/x-www-form-urlencoded")}, 415, "", "", false},
		{"head has no body", "HEAD", manifest, nil, 401, "", challenge + `,scope="repository:team/app:pull"`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			g.upstream.seen()
			a := g.do(tt.method, tt.path, "", tt.options...)
			if a.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", a.StatusCode, tt.status, a.body)
			}
			if got := a.code(); tt.code != "" && got != tt.code {
				t.Errorf("code %q, want %q: %s", got, tt.code, a.body)
			}
			if got := strings.Join(a.Header.Values("WWW-Authenticate"), " | "); got != tt.challenge {
				t.Errorf("challenge\n got %s\nwant %s", got, tt.challenge)
			}
			if a.StatusCode >= 400 && a.Header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
				t.Error("no Docker-Distribution-Api-Version")
			}
			if got := len(g.upstream.seen()) > 0; got != tt.forwarded {
				t.Errorf("forwarded %v, want %v", got, tt.forwarded)
			}
		})
	}
}
