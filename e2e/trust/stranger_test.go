package trust

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
)

// command runs the gateway's program as somebody at a terminal does, with a
// browser that writes down what it is to open.
type command struct {
	t            *testing.T
	program, dir string
}

func newCommand(t *testing.T) *command {
	t.Helper()
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	c := &command{t, program, t.TempDir()}
	script := "#!/bin/sh\necho \"$1\" >> " + filepath.Join(c.dir, "opened") + "\n"
	if err := os.WriteFile(filepath.Join(c.dir, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

// run returns all that is printed.
func (c *command) run(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, append([]string{"registry-auth"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+c.dir+":"+os.Getenv("PATH"), "DISPLAY=:1", "HOME="+c.dir, "DOCKER_CONFIG="+c.dir, "REGISTRY_AUTH_KEY=craak_x")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kept is what the browser was told to open, and what docker's configuration
// has.
func (c *command) kept() string {
	opened, _ := os.ReadFile(filepath.Join(c.dir, "opened"))
	config, _ := os.ReadFile(filepath.Join(c.dir, "config.json"))
	return string(opened) + string(config)
}

// hostile is a registry that answers with what it likes.
func hostile(t *testing.T, answers map[string]any) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if problem, ok := answer.(map[string]any); ok && problem["type"] != nil {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
		}
		raw, _ := json.Marshal(answer)
		_, _ = w.Write([]byte(strings.ReplaceAll(string(raw), "HERE", "http://"+r.Host)))
	}))
	t.Cleanup(s.Close)
	return s
}

// TestLoginOpensNoStrangersPage: a registry begins a login at another one, and
// sends its own user there to approve it.
func TestLoginOpensNoStrangersPage(t *testing.T) {
	c := newCommand(t)
	s := hostile(t, map[string]any{"/auth/device/code": map[string]any{
		"device_code": "dc", "user_code": "BCDF-GHJK", "expires_in": 2, "interval": 1,
		"verification_uri": "https://registry.example.com/auth/device", "verification_uri_complete": "https://registry.example.com/auth/device?user_code=BCDF-GHJK",
	}})
	out, err := c.run("login", s.URL)
	if err == nil || c.kept() != "" || strings.Contains(out, "user_code") || !strings.Contains(out, "not the registry's own") {
		t.Errorf("%v, kept %q, printed %s", err, c.kept(), out)
	}
}

// TestTerminalsDoNotObeyServers: names and errors of a server reach neither the
// terminal nor docker's configuration as they are.
func TestTerminalsDoNotObeyServers(t *testing.T) {
	c := newCommand(t)
	const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e"
	begun := map[string]any{"device_code": "dc", "user_code": "BCDF-" + evil, "expires_in": 9, "interval": 1, "verification_uri": "HERE/auth/device"}
	s := hostile(t, map[string]any{
		"/auth/device/code":  begun,
		"/auth/device/token": map[string]any{"access_token": "crait_x", "username": "alice" + evil},
		"/auth/api/v1/whoami": map[string]any{
			"type": "https://x/y#forbidden" + evil, "title": "no " + evil, "detail": "no " + evil, "errors": []any{map[string]any{"field": evil, "detail": evil}},
		},
		"/auth/api/v1/robots": map[string]any{"items": []any{map[string]any{"name": "ci" + evil, "description": evil}}},
	})
	for _, args := range [][]string{
		{"login", s.URL},
		{"whoami", "--address", s.URL},
		{"robot", "list", "--address", s.URL},
		{"robot", "list", "--json", "--address", s.URL},
	} {
		out, _ := c.run(args...)
		if strings.ContainsAny(out, "\x1b\x07\u009b\u202e") {
			t.Errorf("%v: %q", args, out)
		}
		if len(args) > 2 && args[0] == "robot" && !strings.Contains(out, "ci") {
			t.Errorf("%v: %q", args, out)
		}
	}
	if strings.Contains(c.kept(), "auths") {
		t.Errorf("kept: %s", c.kept())
	}
}
