package cluster

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// longPasswordHash is the bcrypt hash of [stage.LongPassword].
const longPasswordHash = "$2a$10$Yg72T1/I4y0DPXcgLdQ7N.yBzSxv6XFvk0CgDpn5wDfNAhDW57ide"

// push pushes an image and returns what its manifest is answered with.
func (n *node) push(t *testing.T, authorization, repository, tag string) *http.Response {
	t.Helper()
	image, err := upstream.NewImage("content.txt", []byte("pushed"))
	if err != nil {
		t.Fatal(err)
	}
	client := &upstream.Client{URL: n.URL, Authorization: authorization}
	for _, blob := range append([][]byte{image.Config}, image.Layers...) {
		if err := client.PushBlob(t.Context(), repository, blob); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, n.URL+"/v2/"+repository+"/manifests/"+tag, bytes.NewReader(image.Manifest))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", upstream.ManifestType)
	req.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// TestWhileTheDatabaseIsAway is the table of docs/state.md, row by row: what goes
// on, and what does not.
func TestWhileTheDatabaseIsAway(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("alice:"+longPasswordHash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := database(t)
	n := configure(t, onPostgres, registry(t).URL, withKey+`
		htpasswd `+users+`
		token {
			refresh_tokens on
		}
		owner_only repository own/**
		project own/** {
			developer robot:mover
		}
		project team/** {
			developer user:alice
			immutable v*
		}`, "DSN="+db.DSN())
	n.start(t)
	robot := func(name, actions string) string {
		made := n.api(t, "PUT", "/robots/"+name, `{"permissions":[{"name":"**","actions":[`+actions+`]}]}`, 201)
		secret, _ := made["secret"].(string)
		return stage.Basic("robot$"+name, secret)
	}
	pusher, mover := robot("pusher", `"pull","push"`), robot("mover", `"pull","push","overwrite"`)
	token := n.token(t, pusher)
	alice := stage.Basic("alice", stage.LongPassword)
	login := func() (status int, refresh string) {
		r := n.send(t.Context(), "GET", "/v2/token?client_id=docker&offline_token=true&service="+stage.Service, alice, "")
		var answer struct {
			Token   string
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.StatusCode == 200 && answer.Token == "" {
			t.Errorf("login: %d %s", r.StatusCode, r.body)
		}
		return r.StatusCode, answer.Refresh
	}
	status, refresh := login()
	if status != 200 || refresh == "" {
		t.Fatalf("login before: %d, %q", status, refresh)
	}
	pushed := func(what string, want int, authorization, repository, tag string) {
		t.Helper()
		start := time.Now()
		res := n.push(t, authorization, repository, tag)
		if res.StatusCode != want || want == 503 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, want %d", what, res.StatusCode, want)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: answered after %s", what, took)
		}
	}
	pushed("a tag", 201, mover, "team/app", "latest")
	pushed("an owned repository", 201, mover, "own/one", "latest")

	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	health := func() string { return n.send(t.Context(), "GET", "/auth/api/v1/health", "", "").body }
	within(t, 5*time.Second, "health", func() bool { return strings.Contains(health(), `"away"`) })

	// pulls
	for what, authorization := range map[string]string{"a robot": pusher, "its token of before": token, "a person": alice} {
		n.want(t, "pull: "+what, authorization, 200)
	}
	// logins and tokens
	n.want(t, "a new token of a robot", n.token(t, pusher), 200)
	if status, refresh := login(); status != 200 || refresh != "" {
		t.Errorf("docker login of a person: %d, a refresh token: %t", status, refresh != "")
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "service": {stage.Service}, "client_id": {"docker"}, "scope": {"repository:team/app:pull"}}
	res, err := http.PostForm(n.URL+"/v2/token", form)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("a refresh token of before: %d", res.StatusCode)
	}
	// pushes of layers and tags, and to a repository that has its owner
	if r := n.send(t.Context(), "POST", "/v2/team/app/blobs/uploads/", pusher, ""); r.StatusCode != 202 {
		t.Errorf("a layer: %d %s", r.StatusCode, r.body)
	}
	pushed("a tag that is moved", 201, mover, "team/app", "latest")
	pushed("a new tag", 201, pusher, "team/app", "edge")
	pushed("the owner's repository", 201, mover, "own/one", "latest")
	// the push of an immutable tag, of which another gateway may not know
	pushed("a new immutable tag", 503, mover, "team/app", "v1")
	// the first push to a repository that is to get an owner
	pushed("a repository without an owner", 503, mover, "own/two", "latest")
	// changes
	r := n.send(t.Context(), "PUT", "/auth/api/v1/robots/nobody", "Bearer "+adminKey, `{"permissions":[]}`)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a change: %d %s", r.StatusCode, r.body)
	}
	// a gateway that starts
	second := configure(t, onPostgres, n.URL, withKey, "DSN="+db.DSN())
	second.launch(t)
	within(t, 15*time.Second, "a gateway that starts", func() bool {
		r := second.send(t.Context(), "GET", "/v2/", "", "")
		return r.StatusCode == 503 && r.Header.Get("Retry-After") != ""
	})

	if err := db.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "health is good again", func() bool { return strings.Contains(health(), `"status":"ok"`) })
	pushed("a new immutable tag", 201, mover, "team/app", "v1")
	pushed("a repository without an owner", 201, mover, "own/two", "latest")
	within(t, 15*time.Second, "the gateway that waited", func() bool { return second.send(t.Context(), "GET", "/v2/", pusher, "").StatusCode == 200 })
}
