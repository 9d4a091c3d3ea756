package cluster

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// pid finds the process of a gateway by its command line.
func (n *node) pid(t *testing.T) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(n.Caddyfile())) && bytes.Contains(line, []byte("run")) {
			id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil {
				return id
			}
		}
	}
	t.Fatal("the gateway's process is not there")
	return 0
}

// halted reports whether a process is stopped, or gone.
func halted(id int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "status"))
	return err != nil || bytes.Contains(status, []byte("\nState:\tT"))
}

// TestPausedGatewaySendsNoManifest: a gateway that is stopped after it was told
// that a tag is new, as a virtual machine is while it moves, does not send its
// manifest when it goes on after another gateway has pushed the tag.
func TestPausedGatewaySendsNoManifest(t *testing.T) {
	db := database(t)
	var mu sync.Mutex
	var pushed []string
	var asked func()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		ask := asked
		if r.Method == http.MethodHead {
			asked = nil
		}
		exists := len(pushed) > 0
		if r.Method == http.MethodPut && err == nil {
			pushed = append(pushed, string(body))
		}
		mu.Unlock()
		switch {
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodHead && !exists:
			if ask != nil {
				ask()
			}
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(registry.Close)
	lines := withKey + `
		project team/** {
			allow pull push robot:ci
		}`
	var nodes []*node
	for range 2 {
		n := configure(t, onPostgres, registry.URL, lines, "DSN="+db.DSN())
		n.start(t)
		nodes = append(nodes, n)
	}
	paused, other := nodes[0], nodes[1]
	secret, _ := paused.api(t, "PUT", "/robots/ci", "{}", 201)["secret"].(string)
	login := stage.Basic("robot$ci", secret)
	within(t, time.Second, "login on the other", func() bool { return other.status(t, login) == 200 })

	stopped := make(chan bool)
	id := paused.pid(t)
	goOn := sync.OnceFunc(func() { _ = syscall.Kill(id, syscall.SIGCONT) })
	t.Cleanup(goOn)
	mu.Lock()
	asked = func() {
		_ = syscall.Kill(id, syscall.SIGSTOP)
		for ; !halted(id); time.Sleep(5 * time.Millisecond) {
		}
		close(stopped)
	}
	mu.Unlock()
	first := make(chan reply, 1)
	go func() {
		first <- paused.send(t.Context(), "PUT", "/v2/team/app/manifests/v1", login, `{"of":"the paused one"}`)
	}()
	select {
	case <-stopped:
	case r := <-first:
		t.Fatalf("the registry was not asked: %d %s", r.StatusCode, r.body)
	}
	second := make(chan reply, 1)
	go func() {
		second <- other.send(t.Context(), "PUT", "/v2/team/app/manifests/v1", login, `{"of":"the other"}`)
	}()
	r := <-second
	goOn()
	late := <-first
	mu.Lock()
	defer mu.Unlock()
	if r.StatusCode != http.StatusCreated || len(pushed) != 1 || !strings.Contains(pushed[0], "the other") {
		t.Errorf("the other was answered with %d %s; the registry got %q", r.StatusCode, r.body, pushed)
	}
	if late.StatusCode < 400 {
		t.Errorf("the paused one was answered with %d %s", late.StatusCode, late.body)
	}
}
