package registryauth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

const (
	imageType = "application/vnd.oci.image.manifest.v1+json"
	indexType = "application/vnd.oci.image.index.v1+json"
)

// contentRegistry is a registry with manifests and blobs.
type contentRegistry struct {
	mu        sync.Mutex
	manifests map[string][2]string // by tag and digest: media type, body
	blobs     map[string]string
	storage   string   // where downloads of blobs are redirected to
	down      bool     // it answers 500
	moves     string   // a tag that is moved as soon as it was resolved
	nameless  bool     // no Docker-Content-Digest
	lists     []string // digests of referrers; nil: there is no referrers API
}

func (g *contentRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	parts := strings.Split(r.URL.Path, "/")
	kind, last := parts[len(parts)-2], parts[len(parts)-1]
	switch {
	case g.down:
		w.WriteHeader(http.StatusInternalServerError)
	case kind == "blobs" && g.blobs[last] != "" && g.storage != "":
		http.Redirect(w, r, g.storage+"/"+last, http.StatusTemporaryRedirect)
	case kind == "blobs" && g.blobs[last] != "":
		fmt.Fprint(w, g.blobs[last])
	case kind == "referrers" && g.lists != nil:
		w.Header().Set("Content-Type", indexType)
		fmt.Fprint(w, indexOf(g.lists...))
	case kind == "manifests" && g.manifests[last][1] != "":
		m := g.manifests[last]
		w.Header().Set("Content-Type", m[0])
		if !g.nameless {
			w.Header().Set("Docker-Content-Digest", signature.Digest([]byte(m[1])))
		}
		if r.Method != http.MethodHead {
			fmt.Fprint(w, m[1])
		} else if last == g.moves {
			g.manifests[last] = [2]string{imageType, image("moved")}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// put stores a manifest under its digest and a tag, and returns the digest.
func (g *contentRegistry) put(tag, mediaType, body string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	digest := signature.Digest([]byte(body))
	g.manifests[digest], g.manifests[tag] = [2]string{mediaType, body}, [2]string{mediaType, body}
	return digest
}

// sign attaches a signature as cosign does, and returns its digest.
func (g *contentRegistry) sign(digest string, key ed25519.PrivateKey) string {
	payload := fmt.Sprintf(`{"critical":{"identity":{},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"}}`, digest)
	layer := signature.Digest([]byte(payload))
	g.mu.Lock()
	g.blobs[layer] = payload
	g.mu.Unlock()
	return g.put(strings.Replace(digest, ":", "-", 1)+".sig", imageType, fmt.Sprintf(
		`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":%q,"size":%d,"annotations":{"dev.cosignproject.cosign/signature":%q}}]}`,
		imageType, layer, layer, len(payload), base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(payload)))))
}

func image(name string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q}]}`, imageType, signature.Digest([]byte(name)))
}

func indexOf(digests ...string) string {
	var list []string
	for _, d := range digests {
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"artifactType":"application/vnd.dev.cosign.artifact.sig.v1+json"}`, imageType, d))
	}
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, indexType, strings.Join(list, ","))
}

// newSigningKey returns a key, and its public half as PEM.
func newSigningKey(t *testing.T) (ed25519.PrivateKey, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// startSigned runs a gateway where robot ci pushes and anybody pulls, if it
// is signed.
func startSigned(t *testing.T) (*gateway, *contentRegistry, ed25519.PrivateKey) {
	t.Helper()
	key, public := newSigningKey(t)
	t.Setenv("COSIGN_PUBLIC_KEY", public)
	g := startGateway(t, `
	public_url http://registry.test
	project team/** {
		robot ci pull push {
			secret_hash HASH
		}
		guest anyone
		require signature {
			key {env.COSIGN_PUBLIC_KEY}
		}
	}
	project open/** {
		guest anyone
	}
`)
	registry := &contentRegistry{manifests: map[string][2]string{}, blobs: map[string]string{}}
	g.upstream.respond(registry.ServeHTTP)
	return g, registry, key
}

const team = "/v2/team/app/manifests/"

func (g *gateway) wants(status int, path string, options ...option) answer {
	g.t.Helper()
	a := g.do("GET", path, "", options...)
	if a.StatusCode != status {
		g.t.Errorf("GET %s: status %d, want %d: %s", path, a.StatusCode, status, a.body)
	}
	return a
}

func TestRequireSignature(t *testing.T) {
	g, registry, key := startSigned(t)
	other, _ := newSigningKey(t)
	robot := basic("robot$ci", g.robot)
	signed, unsigned := registry.put("signed", imageType, image("a")), registry.put("unsigned", imageType, image("b"))
	foreign := registry.put("foreign", imageType, image("c"))
	attached := registry.sign(signed, key)
	registry.sign(foreign, other)

	if a := g.wants(200, team+"signed"); a.body != image("a") {
		t.Errorf("body %s", a.body)
	}
	seen := g.upstream.seen()
	if last := seen[len(seen)-1]; last.RequestURI != team+signed {
		t.Errorf("the tag was forwarded, not what was verified: %s", last.RequestURI)
	}
	g.wants(200, team+signed)
	if n := len(g.upstream.seen()); n != 1 {
		t.Errorf("%d requests for a digest that is known to be signed", n)
	}
	a := g.wants(412, team+"unsigned")
	if a.code() != "DENIED" || !strings.Contains(a.body, "team/app@"+unsigned+" has no valid signature of the keys configured for it") {
		t.Errorf("%s", a.body)
	}
	g.wants(412, team+unsigned)
	g.wants(412, team+foreign)
	g.wants(412, team+"sha512:"+strings.Repeat("a", 128))
	g.wants(404, team+"none")
	g.wants(404, team+signature.Digest([]byte("none")))
	if a := g.do("HEAD", team+"unsigned", ""); a.StatusCode != 412 {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
	// What is not a pull of a manifest, or not in the project.
	g.wants(200, "/v2/open/app/manifests/unsigned")
	// The signature itself, and whoever signs.
	g.wants(200, team+strings.Replace(signed, ":", "-", 1)+".sig")
	g.wants(200, team+attached)
	g.wants(200, team+"unsigned", robot)
	g.wants(200, team+unsigned, bearer(g.token("repository:team/app:pull", robot)))
	// A name is no proof of being a signature.
	disguise := registry.put("sha256-"+strings.Repeat("a", 64)+".sig", imageType, image("d"))
	g.wants(412, team+"sha256-"+strings.Repeat("a", 64)+".sig")
	g.wants(412, team+disguise)
	if lines := g.logLines("registry access"); !strings.Contains(fmt.Sprint(lines), "there is no signature") {
		t.Error("the audit log does not say why")
	}
}

func TestSignatureAfterRefusal(t *testing.T) {
	g, registry, key := startSigned(t)
	digest := registry.put("new", imageType, image("new"))
	g.wants(412, team+"new")
	registry.sign(digest, key)
	g.wants(412, team+"new") // remembered for some seconds
	if n := len(g.upstream.seen()); n == 0 {
		t.Error("nothing was asked")
	}
}

func TestSignedIndex(t *testing.T) {
	g, registry, key := startSigned(t)
	child, stray := registry.put("amd64", imageType, image("amd64")), registry.put("arm64", imageType, image("arm64"))
	nested := registry.put("nested", indexType, indexOf(child))
	index := registry.put("index", indexType, indexOf(nested))
	registry.sign(index, key)
	g.wants(412, team+"arm64")
	g.wants(200, team+"index")
	g.wants(200, team+nested)
	g.wants(200, team+child)
	g.wants(412, team+stray)
}

func TestReferrers(t *testing.T) {
	for name, api := range map[string]bool{"API": true, "tag": false} {
		t.Run(name, func(t *testing.T) {
			g, registry, key := startSigned(t)
			digest := registry.put("app", imageType, image("app"))
			attached := registry.sign(digest, key)
			tag := strings.Replace(digest, ":", "-", 1)
			delete(registry.manifests, tag+".sig")
			if api {
				registry.lists = []string{attached}
			} else {
				registry.put(tag, indexType, indexOf(attached))
				g.wants(200, team+tag)
			}
			g.wants(200, team+"app")
			hidden := registry.put("sha256-"+strings.Repeat("b", 64), imageType, image("hidden"))
			g.wants(412, team+"sha256-"+strings.Repeat("b", 64))
			g.wants(412, team+hidden)
		})
	}
}

func TestSignatureInStorage(t *testing.T) {
	g, registry, key := startSigned(t)
	var credentials string
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials += r.Header.Get("Authorization")
		fmt.Fprint(w, registry.blobs[r.URL.Path[1:]])
	}))
	defer storage.Close()
	registry.storage = storage.URL
	registry.sign(registry.put("app", imageType, image("app")), key)
	g.wants(200, team+"app")
	if credentials != "" {
		t.Error("the storage got a credential")
	}
	registry.storage = "ftp://storage"
	registry.sign(registry.put("app2", imageType, image("app2")), key)
	g.wants(503, team+"app2")
}

func TestTagMovesWhileItIsVerified(t *testing.T) {
	g, registry, key := startSigned(t)
	registry.sign(registry.put("app", imageType, image("app")), key)
	registry.moves = "app"
	if a := g.wants(200, team+"app"); a.body != image("app") {
		t.Errorf("something else than what was verified was given out: %s", a.body)
	}
}

func TestRegistryThatDoesNotSay(t *testing.T) {
	g, registry, key := startSigned(t)
	digest := registry.put("app", imageType, image("app"))
	registry.sign(digest, key)
	registry.nameless = true
	g.wants(200, team+"app")
	registry.manifests[digest] = [2]string{imageType, image("something else")}
	other := registry.put("x", imageType, image("x"))
	registry.manifests[other] = [2]string{imageType, image("something else")}
	g.wants(503, team+other)
	registry.down = true
	if a := g.wants(503, team+"app"); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestSignatureKeysFailClosed(t *testing.T) {
	g, _, _ := startSigned(t)
	_, public := newSigningKey(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for key, want := range map[string]string{
		file("good.pub", public):                         "",
		"{file." + file("too.pub", public) + "}":         "",
		"{env.NO_SUCH_VARIABLE}":                         "is empty",
		"/no/such/file":                                  "no such file",
		file("empty.pub", ""):                            "is empty",
		file("bad.pub", "x"):                             "is not PEM",
		file("large.pub", strings.Repeat(public, 1_000)): "larger than",
	} {
		err := g.tryLoad("project a/** {\n\trequire signature " + key + "\n\tguest anyone\n}\n")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:")) {
			t.Errorf("%s: want %q, got %v", key, want, err)
		}
	}
}
