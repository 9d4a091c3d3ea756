package registryauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

// tagRegistry is a registry that knows tags and nothing else.
type tagRegistry struct {
	mu   sync.Mutex
	tags map[string]string // tag → digest
	slow time.Duration
}

func (g *tagRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/tags/list") {
		g.list(w, r)
		return
	}
	reference := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Method {
	case http.MethodPut:
		g.mu.Unlock()
		time.Sleep(g.slow)
		g.mu.Lock()
		g.tags[reference] = fakeDigest(reference)
		w.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		w.WriteHeader(http.StatusAccepted)
	default:
		digest, ok := g.tags[reference]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", digest)
	}
}

// list gives one tag a page, so that paging is seen.
func (g *tagRegistry) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, next := r.URL.Query().Get("last"), ""
	for tag := range g.tags {
		if tag > last && (next == "" || tag < next) {
			next = tag
		}
	}
	if next != "" {
		w.Header().Set("Link", fmt.Sprintf(`<%s?n=1&last=%s>; rel="next"`, r.URL.Path, next))
		fmt.Fprintf(w, `{"name":"team/app","tags":[%q]}`, next)
		return
	}
	fmt.Fprint(w, `{"name":"team/app","tags":null}`)
}

func fakeDigest(content string) string {
	return "sha256:" + strings.Repeat("0", 64-len(content)*2) + fmt.Sprintf("%x", content)
}

const tagRealm = `
	public_url http://registry.test
	project team/** {
		robot ci pull push delete {
			secret_hash HASH
		}
		immutable v*
	}
	project once/** {
		allow pull push robot:ci
	}
`

func TestImmutableTags(t *testing.T) {
	g := startGateway(t, tagRealm)
	registry := &tagRegistry{tags: map[string]string{"v1": fakeDigest("v1"), "latest": fakeDigest("latest"), "dev": fakeDigest("v1")}}
	g.upstream.respond(registry.ServeHTTP)
	robot := basic("robot$ci", g.robot)
	for _, tt := range []struct {
		name, method, path string
		status             int
	}{
		{"new tag", "PUT", "team/app/manifests/v2", 201},
		{"existing tag", "PUT", "team/app/manifests/v1", 412},
		{"other tag", "PUT", "team/app/manifests/latest", 201},
		{"by digest with tag", "PUT", "team/app/manifests/" + fakeDigest("x") + "?tag=v1", 412},
		{"delete tag", "DELETE", "team/app/manifests/v1", 412},
		{"delete digest of a protected tag", "DELETE", "team/app/manifests/" + fakeDigest("v1"), 412},
		{"delete digest of other tags", "DELETE", "team/app/manifests/" + fakeDigest("latest"), 202},
		{"push without overwrite, new", "PUT", "once/app/manifests/new", 201},
		{"push without overwrite, existing", "PUT", "once/app/manifests/latest", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			a := g.do(tt.method, "/v2/"+tt.path, "{}", robot)
			if a.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", a.StatusCode, tt.status, a.body)
			}
			if tt.status == 412 && (a.code() != "DENIED" || !strings.Contains(a.body, "immutable")) {
				t.Errorf("the answer does not name the rule: %s", a.body)
			}
		})
	}
}

func TestConcurrentPushesOfOneNewTag(t *testing.T) {
	g := startGateway(t, tagRealm)
	registry := &tagRegistry{tags: map[string]string{}, slow: 30 * time.Millisecond}
	g.upstream.respond(registry.ServeHTTP)
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if a := g.do("PUT", "/v2/team/app/manifests/v7", "{}", basic("robot$ci", g.robot)); a.StatusCode == http.StatusCreated {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if n := created.Load(); n != 1 {
		t.Fatalf("%d pushes of one immutable tag won", n)
	}
}

func TestUndecidableIsRefused(t *testing.T) {
	g := startGateway(t, tagRealm)
	g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	a := g.do("PUT", "/v2/team/app/manifests/v1", "{}", basic("robot$ci", g.robot))
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
}

// TestOneGatewayWritesNothing: with a file, which one process has, a push
// that depends on a tag's absence is held in memory only.
func TestOneGatewayWritesNothing(t *testing.T) {
	g := startGateway(t, tagRealm)
	registry := &tagRegistry{tags: map[string]string{}}
	g.upstream.respond(registry.ServeHTTP)
	front := g.front()
	if _, ok := front.State.Store().(*boltstore.Store); !ok || front.Leases != nil {
		t.Fatalf("store %T, leases %v", front.State.Store(), front.Leases)
	}
	if a := g.do("PUT", "/v2/team/app/manifests/v7", "{}", basic("robot$ci", g.robot)); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
}
