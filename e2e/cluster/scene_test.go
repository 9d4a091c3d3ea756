package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// adminKey is the key of the management API that stands in the configuration.
const adminKey = "administrators-key-of-the-end-to-end-tests"

// withKey is a management block with that key.
const withKey = `management {
			api_key test {env.ADMIN_KEY}
			harbor_robots
		}`

// node is a gateway and how it is spoken to.
type node struct {
	*gateway.Gateway
	URL, Addr string
	config    gateway.Config
}

// registry starts a registry with one image, team/app:x, for a test.
func registry(t *testing.T) *upstream.Client {
	t.Helper()
	process.Need(t, upstream.Distribution2.Program)
	r, err := upstream.Start(t.Context(), upstream.Distribution2, t.TempDir(), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() }) // it may be slow to end
	direct := &upstream.Client{URL: r.URL}
	image, err := upstream.NewImage("content.txt", []byte("the application"))
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.Push(t.Context(), "team/app", "x", image); err != nil {
		t.Fatal(err)
	}
	return direct
}

// configure makes the configuration of a gateway on a port of its own. Store
// is the global option's line, lines go into the realm. Gateways of one
// cluster differ in their addresses only, so they have no public_url.
func configure(t *testing.T, store, registryURL, lines string, env ...string) *node {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	n.URL = "http://" + n.Addr
	global := "	metrics\n"
	if store != "" {
		global += "	registry_auth {\n		store " + store + "\n	}\n"
	}
	n.config = gateway.Config{
		Global: global,
		Sites: fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	metrics /metrics
	registry_auth {
		service %s
		%s
		other_paths pass
	}
	@registry path /v2/*
	reverse_proxy @registry %s
}
`, port, stage.Service, lines, registryURL),
		Env:      append([]string{"ADMIN_KEY=" + adminKey}, env...),
		ReadyURL: n.URL + "/v2/",
	}
	return n
}

// launch starts a gateway without waiting for it.
func (n *node) launch(t *testing.T) {
	t.Helper()
	var err error
	if n.Gateway, err = gateway.Launch(n.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fault := range n.Log.Faults(0) {
			t.Error(fault)
		}
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// start starts a gateway and waits until it is ready.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.launch(t)
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// reply is an answer with its whole body.
type reply struct {
	*http.Response
	body string
}

// send sends a request; an error of the network is a reply with status 0.
func (n *node) send(ctx context.Context, method, path, authorization, body string) reply {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.URL+path, strings.NewReader(body))
	if err != nil {
		return reply{new(http.Response), err.Error()}
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if strings.HasPrefix(body, "{") || body == "" && method == http.MethodPost && strings.Contains(path, "/auth/api/") {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{new(http.Response), err.Error()}
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{new(http.Response), err.Error()}
	}
	return reply{res, string(all)}
}

// api calls the management API as administrator and returns the decoded answer.
func (n *node) api(t *testing.T, method, path, body string, want int) map[string]any {
	t.Helper()
	r := n.send(t.Context(), method, "/auth/api/v1"+path, "Bearer "+adminKey, body)
	if r.StatusCode != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, r.StatusCode, r.body, want)
	}
	var decoded map[string]any
	_ = json.Unmarshal([]byte(r.body), &decoded) // nothing for 204
	return decoded
}

// robot makes a robot that may pull from and push to team and returns what it
// logs in with.
func (n *node) robot(t *testing.T, name string) string {
	t.Helper()
	made := n.api(t, "PUT", "/robots/"+name, `{"permissions":[{"name":"team/**","actions":["pull","push"]}]}`, 201)
	secret, _ := made["secret"].(string)
	return stage.Basic("robot$"+name, secret)
}

// manifest is what pulls ask for.
const manifest = "/v2/team/app/manifests/x"

// status returns what a pull is answered with.
func (n *node) status(t *testing.T, authorization string) int {
	t.Helper()
	return n.send(t.Context(), "GET", manifest, authorization, "").StatusCode
}

// token returns a registry token as an Authorization header.
func (n *node) token(t *testing.T, authorization string) string {
	t.Helper()
	r := n.send(t.Context(), "GET", "/v2/token?service="+stage.Service+"&scope=repository:team/app:pull,push", authorization, "")
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.StatusCode != 200 {
		t.Fatalf("token: %d %s %v", r.StatusCode, r.body, err)
	}
	return "Bearer " + answer.Token
}

// within waits until something is so and fails the test if it takes longer. It
// returns how long it took.
func within(t *testing.T, limit time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	if gateway.Race {
		limit *= 4
	}
	start := time.Now()
	for !so() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// want fails the test unless a pull is answered like that.
func (n *node) want(t *testing.T, what, authorization string, status int) {
	t.Helper()
	if got := n.status(t, authorization); got != status {
		t.Errorf("%s: %d, want %d", what, got, status)
	}
}
