package clients

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// startPolicyStage is a policyStage for a test that changes it.
func startPolicyStage(t *testing.T, o stage.Options) *stage.Stage {
	t.Helper()
	process.Need(t, upstream.Distribution3.Program)
	o.Kind = upstream.Distribution3
	o.Realm += policyLines
	s, err := stage.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// reload replaces a part of the Caddyfile.
func reload(t *testing.T, s *stage.Stage, old, replacement string) {
	t.Helper()
	config, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(config.Sites, old) {
		t.Fatalf("the Caddyfile does not say %q", old)
	}
	config.Sites = strings.Replace(config.Sites, old, replacement, 1)
	if err := s.Gateway.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// upload opens an upload with a token and returns the status.
func upload(t *testing.T, s *stage.Stage, token, repository string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v2/"+repository+"/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Www-Authenticate")
}

// TestWithdrawnRole: a registry token that is good for minutes is refused as
// soon as the role is gone that it was issued for.
func TestWithdrawnRole(t *testing.T) {
	s := startPolicyStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "bob", "repository:team-a/app:pull,push")
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := upload(t, s, token, "team-a/app"); status != http.StatusAccepted {
		t.Fatalf("status %d with the role", status)
	}
	reload(t, s, "developer user:bob", "guest user:bob")
	withdrawn := time.Now()
	for {
		status, challenge := upload(t, s, token, "team-a/app")
		if status == http.StatusUnauthorized && strings.Contains(challenge, "insufficient_scope") {
			break
		}
		if time.Since(withdrawn) > time.Second {
			t.Fatalf("status %d %s a second after the role was lost", status, challenge)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("refused after %s", time.Since(withdrawn))
}

// administer calls the management API as the person admin.
func administer(t *testing.T, s *stage.Stage, method, path, body string, want int) {
	t.Helper()
	password, err := s.Password("admin")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/auth/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+password)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); res.StatusCode != want || err != nil {
		t.Fatalf("%s %s: %s %s, want %d", method, path, res.Status, answer, want)
	}
}

// within wants an upload to get a status within a second of now.
func within(t *testing.T, s *stage.Stage, token, repository string, want int) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		status, _ := upload(t, s, token, repository)
		if status == want {
			t.Logf("%d after %s", status, time.Since(start))
			return
		}
		if time.Since(start) > time.Second {
			t.Fatalf("status %d a second later, want %d", status, want)
		}
	}
}

// TestChangedAtRunTime gives and takes rights by the management API, while the
// token that uses them stays the same.
func TestChangedAtRunTime(t *testing.T) {
	s := startPolicyStage(t, stage.Options{Realm: "management\n"})
	tokens := map[string]string{}
	token := func(who, repository string) string {
		t.Helper()
		got, err := s.Token(t.Context(), who, "repository:"+repository+":pull,push")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, who := range []string{"bob", "carol"} {
		tokens[who] = token(who, "mine/shared")
	}

	t.Run("role mapping", func(t *testing.T) {
		administer(t, s, "POST", "/role-mappings", `{"principal":"user:mallory","role":"DEVELOPER","patterns":["team-a/**"]}`, 201)
		time.Sleep(time.Second)
		mapped := token("mallory", "team-a/app")
		within(t, s, mapped, "team-a/app", 202)
		administer(t, s, "DELETE", "/role-mappings/user:mallory", "", 204)
		within(t, s, mapped, "team-a/app", 401)
	})
	t.Run("project member", func(t *testing.T) {
		administer(t, s, "POST", "/projects", `{"name":"new","patterns":["new/**"],"members":[{"subject":"user:mallory","role":"developer"}]}`, 201)
		time.Sleep(time.Second)
		member := token("mallory", "new/app")
		within(t, s, member, "new/app", 202)
		administer(t, s, "DELETE", "/projects/new/members/user:mallory", "", 204)
		within(t, s, member, "new/app", 401)
	})
	t.Run("owner", func(t *testing.T) {
		within(t, s, tokens["carol"], "mine/shared", 202)
		administer(t, s, "PUT", "/owners/mine%2Fshared", `{"principal":"user:bob"}`, 201)
		within(t, s, tokens["carol"], "mine/shared", 401)
		within(t, s, tokens["bob"], "mine/shared", 202)
		administer(t, s, "PUT", "/owners/mine%2Fshared", `{"principal":"user:carol"}`, 200)
		within(t, s, tokens["bob"], "mine/shared", 401)
		within(t, s, tokens["carol"], "mine/shared", 202)
		administer(t, s, "DELETE", "/owners/mine%2Fshared", "", 204)
		within(t, s, tokens["bob"], "mine/shared", 202)
	})
	t.Run("read-only", func(t *testing.T) {
		administer(t, s, "PUT", "/read-only", `{"read_only":true}`, 200)
		within(t, s, tokens["bob"], "mine/shared", 403)
		administer(t, s, "PUT", "/read-only", `{"read_only":false}`, 200)
		within(t, s, tokens["bob"], "mine/shared", 202)
		administer(t, s, "PUT", "/projects/mine%2F%2A%2A/read-only", `{"read_only":true}`, 200)
		within(t, s, tokens["bob"], "mine/shared", 403)
		administer(t, s, "PUT", "/projects/mine%2F%2A%2A/read-only", `{"read_only":false}`, 200)
		within(t, s, tokens["bob"], "mine/shared", 202)
	})
}

// TestReadOnly: in read-only mode clients are told so, and logins and pulls go
// on.
func TestReadOnly(t *testing.T) {
	process.Need(t, "skopeo")
	s := startPolicyStage(t, stage.Options{})
	client := &skopeo{newShell(t, s)}
	p := &player{T: t, stage: s, client: client, name: "skopeo"}
	const app = "team-a/skopeo"
	p.login("bob", app)
	p.makeAndPush(app)
	reload(t, s, "catalog filtered", "catalog filtered\nread_only")
	defer reload(t, s, "catalog filtered", "catalog filtered")
	p.login("bob", app)
	p.pull(app)
	p.must("make an image", client.Make(app, secondTag, []byte(rand.Text())))
	p.denied("push in read-only mode", client.Push(app, secondTag), "denied: "+app+" is read-only at the moment: pulling goes on, nothing can be changed")
	p.refused("delete in read-only mode", client.Delete(app, firstTag))
	p.pull(app)
}

// slowly gives a client's upload a rate that makes it last, over however many
// connections it comes.
func slowly(ctx context.Context, lasts time.Duration, size int) func(n int) {
	start := time.Now()
	var sent atomic.Int64
	return func(n int) {
		due := start.Add(time.Duration(float64(lasts) * float64(sent.Add(int64(n))) / float64(size)))
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due)):
		}
	}
}
