package registryauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// privateAuthority issues certificates, as a company's own does.
type privateAuthority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newPrivateAuthority(t testing.TB) *privateAuthority {
	t.Helper()
	a := &privateAuthority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign(template, nil)
	a.file = a.write("ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *privateAuthority) sign(template *x509.Certificate, by *privateAuthority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *privateAuthority) write(name, kind string, der []byte) string {
	file := filepath.Join(a.t.TempDir(), name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// server returns the files of a certificate for localhost: addresses are never
// sent as SNI, which must agree with the Host where clients have certificates.
func (a *privateAuthority) server() (cert, key string) {
	c, k := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("server.pem", "CERTIFICATE", c.Raw), a.write("server.key", "PRIVATE KEY", der)
}

// client returns a client certificate with a SPIFFE ID.
func (a *privateAuthority) client(id string) tls.Certificate {
	u, err := url.Parse(id)
	if err != nil {
		a.t.Fatal(err)
	}
	c, k := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k}
}

// mtlsRealm lets the builders of one trust domain push to team/**.
const mtlsRealm = `
	public_url https://registry.test
	mtls {
		identity spiffe spiffe://corp.example/sa/* sa-$1
	}
	project team/** {
		developer workload:sa-builder
	}
	project public/** {
		guest anyone
	}
`

// overTLS puts the gateway's site behind TLS that asks for client certificates.
func (g *gateway) overTLS(a *privateAuthority, realm, clientAuth string) string {
	cert, key := a.server()
	g.url = strings.Replace(g.url, "http://127.0.0.1", "https://localhost", 1)
	text := g.caddyfile(strings.ReplaceAll(realm, "HASH", g.hash))
	return strings.Replace(text, g.url+" {", g.url+" {\n\ttls "+cert+" "+key+" {\n"+clientAuth+"\n}", 1)
}

// as makes the gateway's client show a certificate.
func (g *gateway) as(a *privateAuthority, certs ...tls.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	g.client.CloseIdleConnections()
	g.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certs) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certs[0], nil
		},
	}}
}

func TestClientCertificates(t *testing.T) {
	g := startGateway(t, standardRealm)
	authority, foreign := newPrivateAuthority(t), newPrivateAuthority(t)
	verify := "client_auth {\nmode verify_if_given\ntrust_pool file " + authority.file + "\n}"
	if err := loadCaddyfile(t, g.overTLS(authority, mtlsRealm, verify)); err != nil {
		t.Fatal(err)
	}
	const push = "/v2/team/app/blobs/uploads/"

	g.as(authority, authority.client("spiffe://corp.example/sa/builder"))
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v2/", 200},
		{"GET", "/v2/team/app/manifests/v1", 200},
		{"POST", push, 200},
		{"GET", "/v2/other/app/manifests/v1", 403},
		{"GET", "/v2/public/app/manifests/v1", 200},
	} {
		a := g.do(test.method, test.path, "")
		if a.StatusCode != test.status || a.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s %s with the certificate: %d %v %s", test.method, test.path, a.StatusCode, a.Header, a.body)
		}
	}
	for _, line := range g.logLines("registry access") {
		if line["principal"] != "workload:sa-builder" || line["credential"] != "client_certificate" || line["credential_id"] != "3" || line["authenticator"] != "mtls" {
			t.Errorf("audit line %v", line)
			break
		}
	}
	// The token endpoint knows it, too, and the token is good without it.
	token := g.token("repository:team/app:pull,push")
	wrong := g.do("GET", push, "", basic("ci", "wrong"))
	if wrong.StatusCode != 401 && wrong.StatusCode != 405 {
		t.Errorf("a wrong password with a good certificate: %d", wrong.StatusCode)
	}
	if a := g.do("GET", "/v2/", "", basic("ci", "wrong")); a.StatusCode != 401 {
		t.Errorf("a wrong password with a good certificate: %d", a.StatusCode)
	}

	g.as(authority)
	if a := g.do("GET", "/v2/team/app/manifests/v1", "", bearer(token)); a.StatusCode != 200 {
		t.Errorf("its token without the certificate: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/v2/", ""); a.StatusCode != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("without a certificate: %d %v", a.StatusCode, a.Header)
	}
	if a := g.do("GET", "/v2/public/app/manifests/v1", ""); a.StatusCode != 200 {
		t.Errorf("anonymous pull: %d", a.StatusCode)
	}
	g.as(authority, authority.client("spiffe://elsewhere.example/sa/builder"))
	if a := g.do("GET", "/v2/", ""); a.StatusCode != 401 {
		t.Errorf("a certificate that stands for nobody: %d", a.StatusCode)
	}
	g.as(authority, foreign.client("spiffe://corp.example/sa/builder"))
	if a, err := g.try("GET", "/v2/", ""); err == nil {
		t.Errorf("a foreign certificate: %d", a.StatusCode)
	}

	// What only asks for certificates must never give an identity.
	for name, clientAuth := range map[string]string{
		"does not verify client":  "",
		"does not verify clients": "client_auth {\nmode request\n}",
		"does not verify":         "client_auth {\nmode require\ntrust_pool file " + authority.file + "\n}",
		"no trust_pool":           "client_auth {\nmode verify_if_given\n}",
	} {
		g.url = strings.Replace(g.url, "https://localhost", "http://127.0.0.1", 1)
		err := loadCaddyfile(t, g.overTLS(authority, mtlsRealm, clientAuth))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(name, "s")) {
			t.Errorf("%q: %v", clientAuth, err)
		}
	}
	g.url = strings.Replace(g.url, "https://localhost", "http://127.0.0.1", 1)
	if err := g.tryLoad(mtlsRealm); err == nil || !strings.Contains(err.Error(), "does not verify client certificates") {
		t.Errorf("without TLS: %v", err)
	}
}

// behind lets the gateway trust proxies at an address.
func (g *gateway) behind(realm, proxy, after string) error {
	text := strings.Replace(g.caddyfile(strings.ReplaceAll(realm, "HASH", g.hash)), "static 192.0.2.1", "static "+proxy, 1)
	return loadCaddyfile(g.t, text+after)
}

// from makes the gateway's client connect from an address of this machine.
func (g *gateway) from(address string) {
	g.client.CloseIdleConnections()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	g.client.Transport = &http.Transport{DialContext: dialer.DialContext}
}

const headerRealm = standardRealm + `
	trusted_headers {
		user X-Auth-User
		groups Auth-Groups
		from 127.0.0.0/24
	}
	project corp/** {
		developer group:dev
	}
`

func TestTrustedProxyHeaders(t *testing.T) {
	g := startGateway(t, standardRealm)
	ui := freeAddress(t)
	site := fmt.Sprintf("http://%s {\nroute {\nregistry_identity\nrespond \"{http.auth.user.id} {header.X-Auth-User}{header.X_auth_user}\"\n}\n}\n", ui)
	if err := g.behind(headerRealm, "127.0.0.1 127.1.1.1", site); err != nil {
		t.Fatal(err)
	}
	alice := []option{header("X-Auth-User", "alice"), header("Auth-Groups", "dev,ops")}
	const corp = "/v2/corp/app/manifests/v1"

	g.from("127.0.0.1")
	if a := g.do("GET", corp, "", alice...); a.StatusCode != 200 {
		t.Fatalf("from the proxy: %d %s", a.StatusCode, a.body)
	}
	for _, r := range g.upstream.seen() {
		for name := range r.Header {
			if strings.Contains(name, "Auth") {
				t.Errorf("the registry got %s", name)
			}
		}
	}
	if a := g.do("GET", "/v2/", "", alice...); a.StatusCode != 200 {
		t.Errorf("login check: %d", a.StatusCode)
	}
	if a := g.do("GET", "/v2/team/app/manifests/v1", "", alice...); a.StatusCode != 403 || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("not granted: %d %v", a.StatusCode, a.Header)
	}
	if a := g.do("GET", "/v2/", ""); a.StatusCode != 401 {
		t.Errorf("nobody named: %d", a.StatusCode)
	}
	for name, options := range map[string][]option{
		"twice": {header("X-Auth-User", "alice"), header("X-Auth-User", "admin")},
		"empty": {header("X-Auth-User", "")},
	} {
		if a := g.do("GET", corp, "", options...); a.StatusCode != 401 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if a := g.do("GET", "/v2/", "", append(alice, basic("robot$ci", "wrong"))...); a.StatusCode != 401 {
		t.Errorf("a wrong password counts, whatever the header says: %d", a.StatusCode)
	}
	if token := g.token("repository:corp/app:pull", alice...); g.do("GET", corp, "", bearer(token)).StatusCode != 200 {
		t.Error("a token of a user named in headers is not accepted")
	}

	// A trusted proxy that is not in `from`, and one that is none.
	for _, address := range []string{"127.1.1.1", "127.0.0.9"} {
		g.from(address)
		g.upstream.seen()
		if a := g.do("GET", corp, "", alice...); a.StatusCode != 401 {
			t.Errorf("from %s: %d", address, a.StatusCode)
		}
		if a := g.do("GET", "/v2/public/app/manifests/v1", "", alice...); a.StatusCode != 200 {
			t.Errorf("anonymous pull from %s: %d", address, a.StatusCode)
		}
		if a := g.do("GET", "/ui", "", append(alice, header("X_auth_user", "admin"))...); a.StatusCode != 200 {
			t.Errorf("the registry's own pages from %s: %d", address, a.StatusCode)
		}
		for _, r := range g.upstream.seen() {
			if r.Header["X-Auth-User"] != nil || r.Header["Auth-Groups"] != nil || r.Header["X_auth_user"] != nil {
				t.Errorf("from %s, %s reached the registry with %v", address, r.URL, r.Header)
			}
		}
	}

	// The same identities protect another site.
	url := g.url
	g.url = "http://" + ui
	if a := g.do("GET", "/", "", alice...); a.StatusCode != 401 {
		t.Errorf("the site from elsewhere: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/", "", append(alice, basic("robot$ci", g.robot), header("X_auth_user", "admin"))...); a.body != "ci " {
		t.Errorf("the site sees %q", a.body)
	}
	g.from("127.0.0.1")
	if a := g.do("GET", "/", "", alice...); a.body != "alice alice" {
		t.Errorf("the site sees %q", a.body)
	}
	g.url = url
}

// TestHeaderRoles: the role of a header is added to a caller with a token, for the
// request that shows it.
func TestHeaderRoles(t *testing.T) {
	g := startGateway(t, standardRealm)
	realm := standardRealm + "trusted_headers {\nroles X-Roles\n}\nproject roles/** {\ndeveloper role:sr\n}\n"
	if err := g.behind(realm, "127.0.0.1", ""); err != nil {
		t.Fatal(err)
	}
	token := g.token("repository:roles/app:pull repository:team/app:pull", basic("robot$ci", g.robot), header("X-Roles", "sr"))
	const path = "/v2/roles/app/manifests/v1"
	robot := basic("robot$ci", g.robot)
	if a := g.do("GET", path, "", robot, header("X-Roles", "sr")); a.StatusCode != 200 {
		t.Errorf("with the role: %d", a.StatusCode)
	}
	if a := g.do("GET", path, "", robot); a.StatusCode != 403 {
		t.Errorf("without: %d", a.StatusCode)
	}
	if a := g.do("GET", path, "", bearer(token), header("X-Roles", "sr")); a.StatusCode != 200 {
		t.Errorf("token with the role: %d", a.StatusCode)
	}
	if a := g.do("GET", path, "", bearer(token)); a.StatusCode != 401 {
		t.Errorf("token without the role: %d", a.StatusCode)
	}
	if a := g.do("GET", path, "", header("X-Roles", "sr")); a.StatusCode != 401 {
		t.Errorf("nobody with the role: %d", a.StatusCode)
	}
	g.from("127.0.0.9")
	if a := g.do("GET", path, "", robot, header("X-Roles", "sr")); a.StatusCode != 403 {
		t.Errorf("from somebody else: %d", a.StatusCode)
	}
}

func TestServiceSecret(t *testing.T) {
	const secret = "a-secret-that-nobody-can-guess-0123456789"
	t.Setenv("SCANNER_SECRET", secret)
	g := startGateway(t, standardRealm+`
		anonymous_read open/**
		service_secret scanner {
			secret {env.SCANNER_SECRET}
			from 127.0.0.1
			allow pull
			repositories team/**
		}
	`)
	g.from("127.0.0.1")
	scanner := header("Authorization", "Registry-Secret "+secret)
	for path, status := range map[string]int{
		"/v2/": 200, "/v2/team/app/manifests/v1": 200, "/v2/other/app/manifests/v1": 403,
		"/v2/open/app/manifests/v1": 403, // outside of its scope, whoever may
	} {
		if a := g.do("GET", path, "", scanner); a.StatusCode != status {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if a := g.do("POST", "/v2/team/app/blobs/uploads/", "", scanner); a.StatusCode != 403 {
		t.Errorf("push: %d", a.StatusCode)
	}
	for _, r := range g.upstream.seen() {
		if r.Header.Get("Authorization") != "" {
			t.Error("the registry got the secret")
		}
	}
	if a := g.do("GET", "/v2/", "", header("Authorization", "Registry-Secret "+secret+"x")); a.StatusCode != 401 {
		t.Errorf("wrong: %d", a.StatusCode)
	}
	if a := g.do("GET", "/v2/", "", basic("scanner", secret)); a.StatusCode != 401 {
		t.Errorf("as a password: %d", a.StatusCode)
	}
	token := g.token("repository:team/app:pull,push", scanner)
	if a := g.do("GET", "/v2/team/app/manifests/v1", "", bearer(token)); a.StatusCode != 200 {
		t.Errorf("its token: %d", a.StatusCode)
	}
	g.from("127.0.0.9")
	if a := g.do("GET", "/v2/team/app/manifests/v1", "", scanner); a.StatusCode != 401 {
		t.Errorf("from elsewhere: %d", a.StatusCode)
	}
	if a := g.do("GET", "/v2/team/app/manifests/v1", "", bearer(token)); a.StatusCode != 401 {
		t.Errorf("its token from elsewhere: %d", a.StatusCode)
	}
	if data, _ := os.ReadFile(g.logs); strings.Contains(string(data), secret) {
		t.Error("the secret is in the log")
	}
	t.Setenv("SCANNER_SECRET", "")
	if err := g.tryLoad(standardRealm + "service_secret scanner {\nsecret {env.SCANNER_SECRET}\nfrom ::1\n}\n"); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty placeholder: %v", err)
	}
}

// TestServices has a cluster and a service of one's own in one realm, beside
// robots: each is asked about its own only.
func TestServices(t *testing.T) {
	var questions []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		questions = append(questions, r.URL.Path)
		switch {
		case r.Header.Get("X-Key") != "k3y" && r.URL.Path == "/who":
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/who":
			fmt.Fprint(w, `{"name":"alice","groups":["dev"]}`)
		default:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"kind":"TokenReview","status":{"authenticated":true,"audiences":["registry.test"],"user":{"username":"system:serviceaccount:ci:builder"}}}`)
		}
	}))
	t.Cleanup(service.Close)
	t.Setenv("SERVICE_KEY", "k3y")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	realm := standardRealm + `
		token_review ` + service.URL + ` {
			audience registry.test
			token_file ` + file + `
		}
		external ` + service.URL + `/who {
			header X-Key {env.SERVICE_KEY}
		}
		project corp/** {
			developer group:dev workload:ci/builder
		}
	`
	g := startGateway(t, realm)
	issuer := newJobIssuer(t)
	account := issuer.token(t, map[string]any{"kubernetes.io": map[string]any{"namespace": "ci"}})
	const corp = "/v2/corp/app/manifests/v1"
	for name, test := range map[string]struct {
		option option
		status int
		asked  string
	}{
		"robot":                    {basic("robot$ci", g.robot), 403, ""},
		"person":                   {basic("alice", "password"), 200, "/who"},
		"account as a password":    {basic("any", account), 200, "/apis/authentication.k8s.io/v1/tokenreviews"},
		"account as a bearer":      {bearer(account), 200, ""}, // known
		"another platform's token": {bearer(issuer.token(t, nil)), 401, ""},
	} {
		if name == "account as a bearer" {
			g.do("GET", corp, "", basic("any", account))
		}
		questions = nil
		a := g.do("GET", corp, "", test.option)
		if asked := strings.Join(questions, " "); a.StatusCode != test.status || (asked != test.asked && asked != "") {
			t.Errorf("%s: %d %s, asked %q", name, a.StatusCode, a.body, asked)
		}
	}
	// A reload keeps the answers; a service that is down is no refusal.
	g.load(realm + "audit refusals\n")
	service.Close()
	if a := g.do("GET", corp, "", basic("alice", "password")); a.StatusCode != 200 {
		t.Errorf("known, while the service is down: %d", a.StatusCode)
	}
	if a := g.do("GET", corp, "", basic("alice", "another")); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("not known, while the service is down: %d", a.StatusCode)
	}
}
