package clients

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// reply is what a visitor is answered; status 0: there is no connection.
type reply struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

const matrixPath = "/v2/team/app/manifests/x"

// knock asks once, without any client.
func (r *row) knock(t *testing.T, v visitor) reply {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base(v)+matrixPath, nil)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	if v.user != "" {
		req.SetBasicAuth(v.user, v.secret)
	}
	for _, h := range v.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	client, err := r.httpClient(v.cert)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer client.CloseIdleConnections()
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return reply{body: err.Error(), took: time.Since(start)}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	return reply{res.StatusCode, res.Header, string(body), time.Since(start)}
}

func (r *row) base(v visitor) string {
	if v.at != "" {
		return v.at
	}
	return r.url
}

func (r *row) httpClient(cert string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.tls {
		pem, err := os.ReadFile(r.certs.file("ca"))
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(r.certs.file(cert), r.certs.keyFile(cert))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 20 * time.Second}, nil
}

// visit asks with the real client and returns what that prints.
func (r *row) visit(t *testing.T, v visitor) (string, error) {
	t.Helper()
	sh := newShell(t, &stage.Stage{Addr: strings.SplitAfter(r.base(v), "//")[1]})
	switch {
	case r.client == "curl" || v.headers != nil:
		return r.curl(t, sh, v)
	case r.client == "docker":
		sh.env = append(sh.env, "DOCKER_HOST="+needEngines(t).DockerHost())
		return sh.pipe(v.secret, "docker", "login", "--username", v.user, "--password-stdin", sh.addr)
	}
	trust := "--tls-verify=false"
	if strings.HasPrefix(r.base(v), "https:") {
		trust = "--cert-dir=" + r.certDir(t, v.cert)
	}
	if v.user == "" {
		return sh.run("skopeo", "inspect", trust, "docker://"+sh.ref("team/app", "x"))
	}
	return sh.pipe(v.secret, "skopeo", "login", trust, "--username", v.user, "--password-stdin", sh.addr)
}

// curl fails as curl --fail does, and prints what the answer is.
func (r *row) curl(t *testing.T, sh *shell, v visitor) (string, error) {
	t.Helper()
	fields := sh.path("headers")
	if err := os.WriteFile(fields, []byte(strings.Join(v.headers, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-isS", "--fail-with-body", "--header", "@" + fields, r.base(v) + matrixPath}
	if v.user != "" {
		args = append(args, "--user", v.user+":"+v.secret)
	}
	if r.tls {
		args = append(args, "--cacert", r.certs.file("ca"), "--http1.1")
	}
	if v.cert != "" {
		args = append(args, "--cert", r.certs.file(v.cert), "--key", r.certs.keyFile(v.cert))
	}
	return sh.run("curl", args...)
}

// certDir is a folder as docker and skopeo want it.
func (r *row) certDir(t *testing.T, cert string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"ca.crt": r.certs.file("ca")}
	if cert != "" {
		files["client.cert"], files["client.key"] = r.certs.file(cert), r.certs.keyFile(cert)
	}
	for name, from := range files {
		if err := os.WriteFile(filepath.Join(dir, name), mustRead(t, from), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// token is a visitor with the registry token that another visitor gets.
func (r *row) token(t *testing.T, v visitor) visitor {
	t.Helper()
	sh := newShell(t, &stage.Stage{Addr: strings.SplitAfter(r.url, "//")[1]})
	args := []string{"-sS", "--fail-with-body", r.url + "/token?service=" + stage.Service + "&scope=repository:team/app:pull"}
	if v.user != "" {
		args = append(args, "--user", v.user+":"+v.secret)
	}
	for _, h := range v.headers {
		args = append(args, "--header", h)
	}
	out, err := sh.run("curl", args...)
	_, rest, _ := strings.Cut(out, `"token":"`)
	token, _, found := strings.Cut(rest, `"`)
	if err != nil || !found {
		t.Fatalf("no token in %.300s, %v", out, err)
	}
	holder := visitor{headers: []string{"Authorization: Bearer " + token}}
	if got := r.knock(t, holder); got.status != 200 {
		t.Fatalf("a new token is answered %d", got.status)
	}
	return holder
}
