package history

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/postgres"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

const (
	adminKey = "administrators-key-of-the-end-to-end-tests"
	service  = "registry.example.com"
	// settled is how long after a disturbance a gateway may know less than was
	// acknowledged: it promises a second.
	settled = 3 * time.Second
)

// node is a gateway, and when it, or its store, was disturbed last.
type node struct {
	*gateway.Gateway
	url    string
	config gateway.Config
	line   *postgres.Line // to the database; nil: a file

	mu        sync.Mutex
	disturbed time.Time
	calm      bool
}

// scene is gateways on one store, with clients.
type scene struct {
	t     *testing.T
	nodes []*node
	db    *postgres.Server // nil: a file
}

// newScene starts gateways, several on PostgreSQL or one on a file.
func newScene(t *testing.T, shared bool) *scene {
	t.Helper()
	s := &scene{t: t}
	registry := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(registry.Close)
	gateways, global := 1, ""
	if shared {
		postgres.Need(t)
		var err error
		if s.db, err = postgres.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.db.Stop() })
		gateways, global = 2, "	registry_auth {\n		store postgres {env.DSN}\n	}\n"
	}
	for range gateways {
		port, err := process.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		n := &node{url: fmt.Sprintf("http://127.0.0.1:%d", port), calm: true}
		env := []string{"ADMIN_KEY=" + adminKey}
		if shared {
			var dsn string
			n.line, dsn = s.db.Line(t)
			env = append(env, "DSN="+dsn)
		}
		n.config = gateway.Config{
			Global: global,
			Sites: fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	registry_auth {
		service %s
		management {
			api_key test {env.ADMIN_KEY}
		}
	}
	reverse_proxy %s
}
`, port, service, registry.URL),
			Env: env, ReadyURL: n.url + "/v2/",
		}
		if n.Gateway, err = gateway.Start(t.Context(), n.config); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Stop() })
		n.disturbed = time.Now()
		s.nodes = append(s.nodes, n)
	}
	return s
}

// any returns one of the gateways.
func (s *scene) any() *node { return s.nodes[rand.IntN(len(s.nodes))] }

// answer is what a gateway said; status 0: nothing.
type answer struct {
	status int
	etag   string
	body   string
}

// made says whether a change was made: nobody knows if there was no answer, or one
// that says so.
func (a answer) made() (made, known bool) {
	return a.status >= 200 && a.status < 300, a.status != 0 && a.status < 500
}

// call sends a request.
func (n *node) call(method, path, authorization, body string, header ...string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}
	}
	req.Header.Set("Authorization", authorization)
	if method != http.MethodGet && method != http.MethodDelete {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}
	}
	return answer{res.StatusCode, res.Header.Get("ETag"), string(all)}
}

// api calls the management API.
func (n *node) api(method, path, body string, header ...string) answer {
	return n.call(method, "/auth/api/v1"+path, "Bearer "+adminKey, body, header...)
}
