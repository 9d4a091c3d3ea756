package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// adminKey is the key of the management API that stands in the configuration.
const adminKey = "administrators-key-of-the-end-to-end-tests"

// What Caddy's process is told.
const (
	stop  = syscall.SIGSTOP
	goOn  = syscall.SIGCONT
	leave = syscall.SIGTERM
)

// tester is a test, or a check within one.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// node is a gateway and how it is spoken to.
type node struct {
	*gateway.Gateway
	URL, Addr string
	config    gateway.Config
}

// robotSecret is that of robot ci, which stands in the configuration.
var robotSecret, robotStored = stage.NewSecret()

// configure makes the configuration of a gateway. Store is the global option's
// line; lines go into the realm, where %URL% is the gateway's address.
func configure(t *testing.T, r *registry, store, lines string, env ...string) *node {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	n.URL = "http://" + n.Addr
	global := ""
	if store != "" {
		global = "	registry_auth {\n		store " + store + "\n	}\n"
	}
	n.config = gateway.Config{
		Global: global,
		Sites: fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	registry_auth {
		service %s
		audit refusals
		token {
			lifetime 1h
		}
		%s
		management {
			api_key test {env.ADMIN_KEY}
		}
		project team/** {
			robot ci pull push {
				secret_hash {env.ROBOT_HASH}
			}
			guest user:alice
		}
		other_paths pass
	}
	@registry path /v2/*
	reverse_proxy @registry %s
	respond /other "another site" 200
}
`, port, stage.Service, strings.ReplaceAll(lines, "%URL%", n.URL), r.line.Addr),
		Env:      append([]string{"ADMIN_KEY=" + adminKey, "ROBOT_HASH=" + robotStored}, env...),
		Level:    "INFO",
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

// reply is an answer with its whole body; status 0 is none.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// client keeps as many connections as all users need.
var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 500, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send sends a request and waits as long as users do.
func (n *node) send(method, path, authorization, body string, headers ...string) reply {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.URL+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if strings.HasPrefix(path, api) {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{err: err}
	}
	return reply{res.StatusCode, res.Header, string(all), nil}
}

// api is where the management API is.
const api = "/auth/api/v1"

const asAdmin = "Bearer " + adminKey

// robot makes a robot that may pull from and push to team, and returns what it
// logs in with.
func (n *node) robot(t tester, name string) string {
	t.Helper()
	r := n.send("PUT", api+"/robots/"+name, asAdmin, `{"permissions":[{"name":"team/**","actions":["pull","push"]}]}`)
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || r.status != http.StatusCreated {
		t.Fatalf("robot %s: %d %s %v", name, r.status, r.body, r.err)
	}
	return stage.Basic("robot$"+name, made.Secret)
}

const tokenPath = "/v2/token?service=" + stage.Service + "&scope=repository:team/app:pull,push"

// token returns a registry token as an Authorization header.
func (n *node) token(t tester, authorization string) string {
	t.Helper()
	r := n.send("GET", tokenPath, authorization, "")
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != http.StatusOK {
		t.Fatalf("token: %d %s %v", r.status, r.body, r.err)
	}
	return "Bearer " + answer.Token
}

// manifest is what pulls ask for.
const manifest = "/v2/team/app/manifests/x"

// eventually waits until something is so.
func eventually(t tester, limit time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !so() {
		if time.Since(begin) > slack(limit) {
			t.Fatalf("%s: not within %s", what, slack(limit))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin)
}
