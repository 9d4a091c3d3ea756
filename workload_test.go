package registryauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jobIssuer issues tokens to jobs, as a CI platform does.
type jobIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newJobIssuer(t testing.TB) *jobIssuer { return startJobIssuer(t, httptest.NewServer) }

func startJobIssuer(t testing.TB, start func(http.Handler) *httptest.Server) *jobIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &jobIssuer{key: key}
	i.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"})
			return
		}
		fmt.Fprint(w, i.jwks())
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *jobIssuer) jwks() string {
	x, y := make([]byte, 32), make([]byte, 32)
	public, _ := i.key.PublicKey.Bytes()
	copy(x, public[1:33])
	copy(y, public[33:])
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","alg":"ES256","x":%q,"y":%q}]}`, encode(x), encode(y))
}

// token is that of a job on the main branch of corp/app, changed by change.
func (i *jobIssuer) token(t testing.TB, change map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "aud": "registry.test", "sub": "repo:corp/app:ref:refs/heads/main", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "repository": "corp/app", "ref": "refs/heads/main",
	}
	maps.Copy(claims, change)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

const workloadRealm = `
	public_url http://registry.test
	workload main ISSUER {
		audience registry.test
		require sub repo:corp/app:ref:refs/heads/main
	}
	workload branches ISSUER {
		audience registry.test
		require repository corp/*
	}
	workload nightly ISSUER {
		audience registry.test
		when "claims.repository.startsWith('nightly/') && claims.event_name == 'schedule'"
	}
	project team/** {
		allow pull workload:branches workload:nightly
		allow pull push workload:main {
			when ` + "`claims.repository == \"corp/app\"`" + `
		}
	}
`

func TestWorkloadGateway(t *testing.T) {
	issuer := newJobIssuer(t)
	realm := strings.ReplaceAll(workloadRealm, "ISSUER", issuer.URL)
	g := startGateway(t, realm)

	main := issuer.token(t, nil)
	branch := issuer.token(t, map[string]any{"sub": "repo:corp/app:pull_request", "ref": "refs/pull/1/merge"})
	refused := func(sub, repository string) string {
		return issuer.token(t, map[string]any{"sub": sub, "repository": repository})
	}
	const upload = "/v2/team/app/blobs/uploads/"
	for _, test := range []struct {
		name, method, path, token string
		status                    int
	}{
		{"main pulls", "GET", manifest, main, 200},
		{"main pushes", "POST", upload, main, 200},
		{"a branch pulls", "GET", manifest, branch, 200},
		{"a branch does not push", "POST", upload, branch, 403},
		{"oidc-gha-prefix", "POST", upload, refused("repo:corp/app:ref:refs/heads/main-evil", "corp/app"), 403},
		{"oidc-gha-case", "GET", manifest, refused("repo:CORP/App:ref:refs/heads/main", "CORP/App"), 401},
		{"oidc-gha-org", "GET", manifest, refused("repo:corp-evil/app:ref:refs/heads/main", "corp-evil/app"), 401},
		{"oidc-gha-pr", "POST", upload, refused("repo:corp/app:pull_request", "corp/app"), 403},
		{"another audience", "GET", manifest, issuer.token(t, map[string]any{"aud": "sts.amazonaws.com"}), 401},
		{"when", "GET", manifest, issuer.token(t, map[string]any{"sub": "n", "repository": "nightly/app", "event_name": "schedule"}), 200},
		{"when does not hold", "GET", manifest, issuer.token(t, map[string]any{"sub": "n", "repository": "nightly/app", "event_name": "push"}), 401},
		{"when without the claim", "GET", manifest, issuer.token(t, map[string]any{"sub": "n", "repository": "nightly/app"}), 401},
		{"too old", "GET", manifest, issuer.token(t, map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix()}), 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a := g.do(test.method, test.path, "", bearer(test.token)); a.StatusCode != test.status {
				t.Errorf("%d %s, want %d", a.StatusCode, a.body, test.status)
			}
		})
	}
	for _, r := range g.upstream.seen() {
		if r.Header.Get("Authorization") != "" {
			t.Error("the job's token reaches the registry")
		}
	}

	// docker login -u anything --password-stdin; then the token that it gets.
	registryToken := g.token("repository:team/app:pull,push", basic("anything", main))
	if a := g.do("POST", upload, "", bearer(registryToken)); a.StatusCode != 200 {
		t.Errorf("push with a registry token: %d %s", a.StatusCode, a.body)
	}
	if other := g.token("repository:team/app:pull", bearer(main)); other == "" {
		t.Error("bearer at the token endpoint")
	}
	if a := g.do("GET", "/v2/token?service=registry.test", "", basic("anything", refused("repo:evil/x:y", "evil/x"))); a.StatusCode != 401 {
		t.Errorf("another's job at the token endpoint: %d", a.StatusCode)
	}
	var audited bool
	for _, line := range g.logLines("registry access") {
		text, _ := json.Marshal(line)
		audited = audited || strings.Contains(string(text), "not among the values required")
	}
	if !audited {
		t.Error("no log line says which requirement failed")
	}

	// A registry token dies with its workload.
	g.load(realm + "explain_denials\n")
	if a := g.do("GET", manifest, "", bearer(registryToken)); a.StatusCode != 200 {
		t.Errorf("after a reload: %d", a.StatusCode)
	}
	g.load(strings.ReplaceAll(realm, "main "+issuer.URL, "other "+issuer.URL))
	if a := g.do("GET", manifest, "", bearer(registryToken)); a.StatusCode != 401 {
		t.Errorf("registry token of a workload that is gone: %d", a.StatusCode)
	}
}

// A token that is good once stays used when the configuration changes.
func TestWorkloadSingleUse(t *testing.T) {
	issuer := newJobIssuer(t)
	realm := strings.ReplaceAll(strings.Replace(workloadRealm, "audience", "single_use\n\t\tjwks `JWKS`\n\t\taudience", 1), "ISSUER", issuer.URL)
	realm = strings.ReplaceAll(realm, "JWKS", issuer.jwks())
	issuer.Close() // the keys are in the configuration
	g := startGateway(t, realm)
	job := issuer.token(t, nil)
	registryToken := g.token("repository:team/app:pull", basic("job", job))
	for range 2 {
		if a := g.do("GET", manifest, "", bearer(registryToken)); a.StatusCode != 200 {
			t.Errorf("registry token: %d", a.StatusCode)
		}
		if a := g.do("GET", "/v2/token?service=registry.test", "", basic("job", job)); a.StatusCode != 401 {
			t.Errorf("the second time: %d", a.StatusCode)
		}
		g.load(strings.Replace(realm, "single_use", "single_use\n\t\tclock_skew 10s", 1))
	}
}

// A registry token ends when what its workload must meet becomes stricter, and
// with the robot as which the workload acts.
func TestWorkloadTokensEndWithTheirTerms(t *testing.T) {
	issuer := newJobIssuer(t)
	const declared = `
	public_url http://registry.test
	workload release ISSUER {
		audience registry.test
		require repository corp/app
		as robot:ci
	}
	project team/** {
		robot ci pull push {
			secret_hash HASH
		}
	}
`
	realm := strings.ReplaceAll(declared, "ISSUER", issuer.URL)
	g := startGateway(t, realm)
	job := issuer.token(t, nil)
	token := g.token("repository:team/app:pull,push", basic("job", job))
	pulls := func(what string, want int) {
		t.Helper()
		if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", what, a.StatusCode, a.body, want)
		}
	}
	pulls("as the robot", 200)
	if lines := g.logLines("registry access"); len(lines) != 1 || lines[0]["principal"] != "robot:ci" || lines[0]["subject"] != "repo:corp/app:ref:refs/heads/main" {
		t.Errorf("audit lines %v", lines)
	}
	g.load(strings.Replace(realm, "secret_hash", "disabled\n\t\t\tsecret_hash", 1))
	pulls("the robot is disabled", 401)
	if a := g.do("GET", manifest, "", bearer(job)); a.StatusCode != 401 {
		t.Errorf("the job's own token for a disabled robot: %d", a.StatusCode)
	}
	g.load(realm)
	pulls("it is enabled again", 200)
	g.load(strings.Replace(realm, "corp/app", "corp/app\n\t\trequire ref refs/heads/main", 1))
	pulls("one more requirement", 401)
}

func TestWorkloadConflicts(t *testing.T) {
	issuer := newJobIssuer(t)
	realm := strings.ReplaceAll(workloadRealm, "ISSUER", issuer.URL)
	g := startGateway(t, realm)
	if err := g.tryLoad(realm + "oidc " + issuer.URL + " registry\n"); err == nil || !strings.Contains(err.Error(), "same issuer") {
		t.Errorf("oidc and workload of one issuer: %v", err)
	}
}

// TestWorkloadIssuersOfOneRealm has jobs of two issuers, one of which only a
// private authority vouches for.
func TestWorkloadIssuersOfOneRealm(t *testing.T) {
	public, private := newJobIssuer(t), startJobIssuer(t, httptest.NewTLSServer)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	realm := strings.NewReplacer("PUBLIC", public.URL, "PRIVATE", private.URL, "CA_FILE", authority).Replace(standardRealm + `
	workload cloud PUBLIC {
		audience registry.test
		require repository corp/*
	}
	workload cluster PRIVATE {
		audience registry.test
		require repository corp/*
		trust_pool file CA_FILE
	}
	project jobs/** {
		developer workload:cloud
		guest workload:cluster
	}
`)
	g := startGateway(t, realm)
	asks := func(what string, issuer *jobIssuer, method string, want int) {
		t.Helper()
		path := map[string]string{"GET": "/v2/jobs/app/manifests/v1", "POST": "/v2/jobs/app/blobs/uploads/"}[method]
		if a := g.do(method, path, "", bearer(issuer.token(t, nil))); a.StatusCode != want {
			t.Errorf("%s: %s: %d %s, want %d", what, method, a.StatusCode, a.body, want)
		}
	}
	asks("the public issuer's", public, "POST", 200)
	asks("the private issuer's", private, "GET", 200)
	asks("the private issuer's", private, "POST", 403)
	g.restart(strings.Replace(realm, "trust_pool file "+authority, "", 1))
	asks("an authority that is not trusted", private, "GET", 503)
	asks("the public issuer's all the same", public, "GET", 200)
}
