package registryauth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// ownersRealm has two robots that may push everywhere.
func ownersRealm(second string) string {
	return `
	public_url http://registry.test
	owner_only repository one/**
	owner_only namespace ns/**
	creator_role maintainer made/**
	admin robot:root
	robot ci {
		secret_hash HASH
	}
	robot second {
		secret_hash ` + second + `
	}
	robot root {
		secret_hash ROOT
	}
	project ** {
		allow pull push overwrite robot:ci robot:second
	}`
}

// TestOwners pushes with two robots and an administrator.
func TestOwners(t *testing.T) {
	secret, hash := authn.NewSecret(authn.SecretRobot)
	rootSecret, rootHash := authn.NewSecret(authn.SecretRobot)
	g := startGateway(t, strings.ReplaceAll(ownersRealm(hash), "ROOT", rootHash))
	ci, second, root := basic("ci", g.robot), basic("second", secret), basic("root", rootSecret)
	status := http.StatusCreated
	tagged := map[string]bool{"/v2/made/old/tags/list": true}
	g.upstream.respond(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/tags/list") {
			if tagged[r.URL.Path] {
				_, _ = w.Write([]byte(`{"tags":["x"]}`))
				return
			}
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(status)
	})
	for _, step := range []struct {
		name     string
		upstream int
		who      option
		method   string
		path     string
		want     int
	}{
		{"a push that fails makes no owner", 500, ci, "PUT", "one/app/manifests/v1", 500},
		{"the first push", 201, second, "PUT", "one/app/manifests/v1", 201},
		{"the second pusher", 201, ci, "PUT", "one/app/manifests/v2", 403},
		{"an upload", 202, ci, "POST", "one/app/blobs/uploads/", 403},
		{"reading", 200, ci, "GET", "one/app/manifests/v1", 200},
		{"the owner again", 201, second, "PUT", "one/app/manifests/v1", 201},
		{"an administrator", 201, root, "PUT", "one/app/manifests/v1", 201},
		{"still the owner", 201, second, "PUT", "one/app/manifests/v1", 201},
		{"a namespace", 201, ci, "PUT", "ns/a/manifests/v1", 201},
		{"another repository of the namespace", 201, second, "PUT", "ns/b/c/manifests/v1", 403},
		{"without the rule", 201, second, "PUT", "free/a/manifests/v1", 201},
		{"without the rule, somebody else", 201, ci, "PUT", "free/a/manifests/v1", 201},
		{"who creates", 201, ci, "PUT", "made/new/manifests/v1", 201},
		{"the creator may delete", 202, ci, "DELETE", "made/new/manifests/v1", 202},
		{"others may not", 202, second, "DELETE", "made/new/manifests/v1", 403},
		{"and may push", 201, second, "PUT", "made/new/manifests/v1", 201},
		{"what was there", 201, ci, "PUT", "made/old/manifests/v1", 201},
		{"is not created", 202, ci, "DELETE", "made/old/manifests/v1", 403},
	} {
		status = step.upstream
		body := "{}"
		if step.method == http.MethodGet {
			body = ""
		}
		if a := g.do(step.method, "/v2/"+step.path, body, step.who); a.StatusCode != step.want {
			t.Errorf("%s: %d %s, want %d", step.name, a.StatusCode, a.body, step.want)
		}
	}
}

// TestTwoFirstPushes: of two first pushes at the same moment one is refused.
func TestTwoFirstPushes(t *testing.T) {
	secret, hash := authn.NewSecret(authn.SecretRobot)
	_, rootHash := authn.NewSecret(authn.SecretRobot)
	g := startGateway(t, strings.ReplaceAll(ownersRealm(hash), "ROOT", rootHash))
	g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	for round := range 20 {
		path := "/v2/one/race" + string(rune('a'+round)) + "/manifests/v1"
		var statuses [2]int
		var group sync.WaitGroup
		for i, who := range []option{basic("ci", g.robot), basic("second", secret)} {
			group.Go(func() {
				if a, err := g.try("PUT", path, "{}", who); err == nil {
					statuses[i] = a.StatusCode
				}
			})
		}
		group.Wait()
		if statuses != [2]int{201, 403} && statuses != [2]int{403, 201} {
			t.Errorf("round %d: %v", round, statuses)
		}
	}
}
