package trust

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

const released = `http://ADDR {
	registry_auth {
		service registry.test
		project team/** {
			robot ci pull push delete {
				secret_hash {env.CI_HASH}
			}
			immutable v*
		}
	}
	ROUTES
}`

// withRegistry returns a real registry and a handler that leads to it.
func withRegistry(t *testing.T) (*upstream.Client, http.HandlerFunc) {
	t.Helper()
	process.Need(t, upstream.Distribution3.Program)
	r, err := upstream.Start(t.Context(), upstream.Distribution3, t.TempDir(), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	target, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	return &upstream.Client{URL: r.URL}, proxy.ServeHTTP
}

// put pushes a manifest straight to the registry and returns its digest.
func put(t *testing.T, direct *upstream.Client, repository, reference, mediaType string, manifest any) string {
	t.Helper()
	body, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", direct.URL+"/v2/"+repository+"/manifests/"+reference, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s", res.Status, answer)
	}
	return upstream.Digest(body)
}

const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeDocker   = "application/vnd.docker.distribution.manifest.v2+json"
)

// TestWhatAnImmutableTagNeedsStays: a tag that cannot be deleted is worth
// nothing if what it points at can.
func TestWhatAnImmutableTagNeedsStays(t *testing.T) {
	direct, handler := withRegistry(t)
	secret, hash := stage.NewSecret()
	s := start(t, strings.Replace(released, "ROUTES", "reverse_proxy UPSTREAM", 1), handler, "CI_HASH="+hash)
	images := map[string]*upstream.Image{}
	children := []any{}
	for _, platform := range []string{"amd64", "arm64", "free"} {
		image, err := upstream.NewImage("content.txt", []byte("for "+platform))
		if err != nil {
			t.Fatal(err)
		}
		images[platform] = image
		if err := direct.Push(t.Context(), "team/app", image.Digest(), image); err != nil {
			t.Fatal(err)
		}
		if platform != "free" {
			children = append(children, map[string]any{
				"mediaType": typeManifest, "digest": image.Digest(), "size": len(image.Manifest),
				"platform": map[string]string{"os": "linux", "architecture": platform},
			})
		}
	}
	inner := put(t, direct, "team/app", "inner", typeIndex, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": children})
	outer := put(t, direct, "team/app", "v1", typeIndex, map[string]any{
		"schemaVersion": 2, "mediaType": typeIndex,
		"manifests": []any{map[string]any{"mediaType": typeIndex, "digest": inner, "size": sizeOf(t, direct, inner)}},
	})
	var needed []string
	for _, platform := range []string{"amd64", "arm64"} {
		var m struct {
			Config struct{ Digest string }
			Layers []struct{ Digest string }
		}
		if err := json.Unmarshal(images[platform].Manifest, &m); err != nil {
			t.Fatal(err)
		}
		needed = append(needed, "manifests/"+images[platform].Digest(), "blobs/"+m.Config.Digest, "blobs/"+m.Layers[0].Digest)
	}
	needed = append(needed, "manifests/"+outer, "manifests/"+inner)
	for _, path := range needed {
		answer := s.wants(http.StatusPreconditionFailed, "DELETE", "/v2/team/app/"+path, "", basic("robot-ci", secret))
		if !strings.Contains(answer, "v1") {
			t.Errorf("%s: the answer does not name the tag: %s", path, answer)
		}
	}
	if _, err := direct.Pull(t.Context(), "team/app", images["amd64"].Digest()); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
	// What no such tag needs can go, and so can a tag that is not protected.
	s.wants(http.StatusAccepted, "DELETE", "/v2/team/app/manifests/"+images["free"].Digest(), "", basic("robot-ci", secret))
	s.wants(http.StatusAccepted, "DELETE", "/v2/team/app/manifests/inner", "", basic("robot-ci", secret))
	// In a repository without such tags nothing is asked for.
	if err := direct.Push(t.Context(), "team/free", "latest", images["free"]); err != nil {
		t.Fatal(err)
	}
	s.wants(http.StatusAccepted, "DELETE", "/v2/team/free/manifests/"+images["free"].Digest(), "", basic("robot-ci", secret))
}

// TestUnknownNeedsRefuseDeletion: where the registry does not say what a tag
// needs, nothing is deleted by digest.
func TestUnknownNeedsRefuseDeletion(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, strings.Replace(released, "ROUTES", "reverse_proxy UPSTREAM", 1), func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			_, _ = io.WriteString(w, `{"name":"team/app","tags":["v1"]}`)
		case r.Method == http.MethodHead:
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("b", 64))
		case r.Method == http.MethodGet:
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, "no manifest that anybody knows")
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}, "CI_HASH="+hash)
	for _, path := range []string{"manifests/sha256:" + strings.Repeat("a", 64), "blobs/sha256:" + strings.Repeat("a", 64)} {
		answer := s.wants(http.StatusPreconditionFailed, "DELETE", "/v2/team/app/"+path, "", basic("robot-ci", secret))
		if !strings.Contains(answer, "v1") {
			t.Errorf("%s: %s", path, answer)
		}
	}
}

func sizeOf(t *testing.T, direct *upstream.Client, digest string) int {
	t.Helper()
	body, err := direct.Manifest(t.Context(), "team/app", digest)
	if err != nil {
		t.Fatal(err)
	}
	return len(body)
}

// TestSlowPushHoldsNoTag: who sends the manifest of a new tag slowly does not
// keep others from pushing it.
func TestSlowPushHoldsNoTag(t *testing.T) {
	direct, handler := withRegistry(t)
	secret, hash := stage.NewSecret()
	s := start(t, strings.Replace(released, "ROUTES", "reverse_proxy UPSTREAM", 1), handler, "CI_HASH="+hash)
	image, err := upstream.NewImage("content.txt", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.Push(t.Context(), "team/app", "latest", image); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		slow, err := net.DialTimeout("tcp", s.Addr, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		_, _ = fmt.Fprintf(slow, "PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n{",
			s.Addr, basic("robot-ci", secret), typeManifest, len(image.Manifest))
	}
	time.Sleep(time.Second)
	began := time.Now()
	s.wants(http.StatusCreated, "PUT", "/v2/team/app/manifests/v1", string(image.Manifest), basic("robot-ci", secret), "Content-Type: "+typeDocker)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the push waited %s for one that sends nothing", took)
	}
}

// TestQuestionsTakeTheWayOfTheRequest: whether a tag exists is asked where the
// push will go, however the site finds its registry.
func TestQuestionsTakeTheWayOfTheRequest(t *testing.T) {
	direct, handler := withRegistry(t)
	image, err := upstream.NewImage("content.txt", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.Push(t.Context(), "team/app", "v1", image); err != nil {
		t.Fatal(err)
	}
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	t.Cleanup(empty.Close)
	secret, hash := stage.NewSecret()
	for name, routes := range map[string]string{
		"a header": `@here header Region eu
	reverse_proxy @here UPSTREAM
	reverse_proxy EMPTY`,
		"a variable": `@here header Region eu
	vars backend EMPTY
	vars @here backend UPSTREAM
	reverse_proxy {vars.backend}`,
		"a map": `map {header.Region} {backend} {
		eu UPSTREAM
		default EMPTY
	}
	reverse_proxy {backend}`,
		"the client's address": `@here remote_ip 127.0.0.1
	reverse_proxy @here UPSTREAM
	reverse_proxy EMPTY`,
		"a query": `@here vars {http.request.header.Region} eu
	reverse_proxy @here UPSTREAM
	reverse_proxy EMPTY`,
		"the method": `map {method} {backend} {
		PUT UPSTREAM
		default EMPTY
	}
	reverse_proxy {backend}`,
	} {
		t.Run(name, func(t *testing.T) {
			address := func(url string) string { return strings.TrimPrefix(url, "http://") }
			sites := strings.ReplaceAll(strings.Replace(released, "ROUTES", routes, 1), "EMPTY", address(empty.URL))
			s := start(t, sites, handler, "CI_HASH="+hash)
			changed := strings.Replace(string(image.Manifest), "{", "{ ", 1)
			s.wants(http.StatusPreconditionFailed, "PUT", "/v2/team/app/manifests/v1", changed, basic("robot-ci", secret), "Content-Type: "+typeDocker, "Region: eu")
		})
	}
	if now, err := direct.Manifest(context.WithoutCancel(t.Context()), "team/app", "v1"); err != nil || string(now) != string(image.Manifest) {
		t.Errorf("the immutable tag was moved: %v", err)
	}
}

const byMethod = "by the request's method"

// TestMethodsDoNotChooseTheRegistry: a push asks with other methods than its
// own whether its tag exists, so what chooses by method has to come first.
func TestMethodsDoNotChooseTheRegistry(t *testing.T) {
	_, hash := stage.NewSecret()
	for name, tt := range map[string]struct {
		sites   string
		refused bool
	}{
		"behind": {strings.Replace(released, "ROUTES", `@write method PUT POST PATCH DELETE
	reverse_proxy @write UPSTREAM
	reverse_proxy 127.0.0.1:1`, 1), true},
		"behind, by another word": {strings.Replace(released, "ROUTES", `@read not method PUT
	handle @read {
		reverse_proxy 127.0.0.1:1
	}
	handle {
		reverse_proxy UPSTREAM
	}`, 1), true},
		"behind, as an expression": {strings.Replace(released, "ROUTES", "@write `method('PUT')`\n\treverse_proxy @write UPSTREAM\n\treverse_proxy 127.0.0.1:1", 1), true},
		"on other paths": {strings.Replace(released, "ROUTES", `@write {
		method POST
		path /ui/*
	}
	reverse_proxy @write 127.0.0.1:1
	reverse_proxy UPSTREAM`, 1), false},
		"no registry": {strings.Replace(released, "ROUTES", `@trace method TRACE
	respond @trace 405
	reverse_proxy UPSTREAM`, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{t: t, Addr: "127.0.0.1:1", URL: "http://127.0.0.1:1", Upstream: newBehind(t, nil)}
			port, err := process.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			s.Addr = fmt.Sprintf("127.0.0.1:%d", port)
			s.URL = "http://" + s.Addr
			g, err := gateway.Start(t.Context(), gateway.Config{Sites: s.expand(tt.sites), Env: []string{"CI_HASH=" + hash}, ReadyURL: s.URL + "/v2/"})
			refused := err != nil && strings.Contains(err.Error(), byMethod)
			if err == nil {
				// Caddy opens its sockets before it starts the plugin.
				for end := time.Now().Add(3 * time.Second); tt.refused && !refused && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					refused = strings.Contains(strings.Join(g.Log.Since(0), ""), byMethod)
				}
				_ = g.Stop()
			}
			if refused != tt.refused {
				t.Errorf("refused: %v, %v", refused, err)
			}
		})
	}
}
