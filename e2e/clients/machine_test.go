package clients

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// curl asks the gateway with curl and returns the status and all that came.
func (m *machines) curl(t *testing.T, path string, args ...string) (status, out string) {
	t.Helper()
	sh := newShell(t, &stage.Stage{Addr: m.addr})
	url := "https://" + m.addr + path
	if strings.HasPrefix(path, "http") {
		url = path
	}
	out, err := sh.run("curl", append([]string{"-isS", "--max-time", "20", "--cacert", m.file("ca"), url}, args...)...)
	if err != nil {
		return "", err.Error()
	}
	_, rest, _ := strings.Cut(out, " ")
	return rest[:min(3, len(rest))], out
}

// certs returns a folder as docker, skopeo and podman want it.
func (m *machines) certs(t *testing.T, dir, name string) string {
	t.Helper()
	for to, from := range map[string]string{"ca.crt": m.file("ca"), "client.cert": m.file(name), "client.key": m.keyFile(name)} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestMachines drives clients that nobody gave a password.
func TestMachines(t *testing.T) {
	m := startMachines(t)
	t.Run("curl with a certificate", m.curlCertificate)
	t.Run("skopeo with a certificate", m.skopeoCertificate)
	t.Run("docker with a certificate", m.dockerCertificate)
	t.Run("containerd with a certificate", m.containerdCertificate)
	t.Run("proxy", m.proxied)
	t.Run("TokenReview", m.tokenReview)
	t.Run("external service", m.external)
	t.Run("service secret", m.serviceSecret)
}

func (m *machines) curlCertificate(t *testing.T) {
	with := func(name string) []string { return []string{"--cert", m.file(name), "--key", m.keyFile(name)} }
	for _, c := range []struct {
		name, path string
		args       []string
		want       string
	}{
		{"login check", "/v2/", with("client"), "200"},
		{"pull", "/v2/team/app/manifests/x", with("client"), "200"},
		{"push", "/v2/team/app/blobs/uploads/", append(with("client"), "-X", "POST"), "202"},
		{"not granted", "/v2/corp/app/manifests/x", with("client"), "403"},
		{"a wrong password beside it", "/v2/", append(with("client"), "-u", "carol:wrong"), "401"},
		{"a certificate that stands for nobody", "/v2/", with("stranger"), "401"},
		{"none", "/v2/", nil, "401"},
		{"headers without being the proxy", "/v2/corp/app/manifests/x", []string{"-H", "X-Auth-User: alice", "-H", "X-Auth-Groups: staff"}, "401"},
		{"headers with a machine's certificate", "/v2/corp/app/manifests/x", append(with("client"), "-H", "X-Auth-User: alice", "-H", "X-Auth-Groups: staff"), "403"},
		{"headers as the proxy", "/v2/corp/app/manifests/x", append(with("proxy"), "-H", "X-Auth-User: alice", "-H", "X-Auth-Groups: staff"), "200"},
		{"headers twice as the proxy", "/v2/corp/app/manifests/x", append(with("proxy"), "-H", "X-Auth-User: alice", "-H", "X-Auth-User: admin"), "401"},
	} {
		status, out := m.curl(t, c.path, c.args...)
		if status != c.want || (status == "403" && strings.Contains(strings.ToLower(out), "www-authenticate")) {
			t.Errorf("%s: want %s, got\n%s", c.name, c.want, out)
		}
	}
	foreign := newAuthority(t)
	foreign.issue("client", func(c *x509.Certificate) { c.DNSNames = []string{"proxy.test"} })
	if status, out := m.curl(t, "/v2/", "--cert", foreign.file("client"), "--key", foreign.keyFile("client")); status == "200" {
		t.Errorf("another authority's certificate: %s", out)
	}
}

func (m *machines) skopeoCertificate(t *testing.T) {
	process.Need(t, "skopeo")
	sh := newShell(t, &stage.Stage{Addr: m.addr})
	k := &skopeo{sh}
	if err := k.Make("team/skopeo", firstTag, []byte("by skopeo")); err != nil {
		t.Fatal(err)
	}
	certs := m.certs(t, t.TempDir(), "client")
	if _, err := sh.run("skopeo", "copy", "--dest-cert-dir", certs, "dir:"+k.local("team/skopeo", firstTag), "docker://"+sh.ref("team/skopeo", firstTag)); err != nil {
		t.Fatal(err)
	}
	if out, err := sh.run("skopeo", "list-tags", "--cert-dir", certs, "docker://"+m.addr+"/team/skopeo"); err != nil || !strings.Contains(out, firstTag) {
		t.Errorf("tags: %s, %v", out, err)
	}
	if _, err := sh.run("skopeo", "copy", "--src-cert-dir", certs, "docker://"+sh.ref("corp/app", "x"), "dir:"+sh.path("corp")); err == nil || !strings.Contains(err.Error(), "denied") {
		t.Errorf("a foreign repository: %v", err)
	}
	stranger := m.certs(t, t.TempDir(), "stranger")
	if _, err := sh.run("skopeo", "inspect", "--cert-dir", stranger, "docker://"+sh.ref("team/app", "x")); err == nil {
		t.Error("a stranger's certificate opened team/app")
	}
}

func (m *machines) dockerCertificate(t *testing.T) {
	e := needEngines(t)
	dir := filepath.Join("/etc/docker/certs.d", m.outer) // where dockerd looks, for this port only
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m.certs(t, dir, "client")
	s := &stage.Stage{Addr: m.outer, Direct: m.direct}
	d := &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())}
	p := &player{T: t, stage: s, client: d, name: "docker"}
	content := p.makeAndPush("team/docker")
	p.sameUpstream("team/docker", content)
	p.pull("team/docker")
	p.must("make an image", d.Make("other/docker", firstTag, []byte("x")))
	p.refused("push to a foreign repository", d.Push("other/docker", firstTag))
}

// containerdCertificate: containerd finds the certificate by hosts.toml.
func (m *machines) containerdCertificate(t *testing.T) {
	e := needEngines(t)
	sh := newShell(t, &stage.Stage{Addr: m.addr}, "CONTAINERD_ADDRESS="+e.ContainerdSocket())
	for _, name := range []string{"client", "stranger"} {
		hosts := sh.path(name)
		if err := os.MkdirAll(filepath.Join(hosts, m.addr), 0o700); err != nil {
			t.Fatal(err)
		}
		config := fmt.Sprintf("server = \"https://%s\"\n\n[host.\"https://%[1]s\"]\n  ca = %q\n  client = [[%q, %q]]\n", m.addr, m.file("ca"), m.file(name), m.keyFile(name))
		write(t, filepath.Join(hosts, m.addr, "hosts.toml"), config)
		_, err := sh.run("ctr", "--namespace", "certificates-"+name, "content", "fetch", "--hosts-dir", hosts, sh.ref("team/app", "x"))
		if (err == nil) != (name == "client") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// proxied: people sign in at a proxy, which tells the gateway who they are.
func (m *machines) proxied(t *testing.T) {
	process.Need(t, "skopeo")
	at := "http://" + m.proxy
	alice := []string{"-u", "alice:" + stage.LongPassword}
	if status, out := m.curl(t, at+"/v2/corp/app/manifests/x", alice...); status != "200" {
		t.Errorf("alice: %s", out)
	}
	if status, out := m.curl(t, at+"/v2/team/app/manifests/x", alice...); status != "403" {
		t.Errorf("alice at team: %s", out)
	}
	forged := append(alice, "-H", "X-Auth-User: admin", "-H", "X-Auth-Groups: admins", "-H", "X_Auth_User: admin")
	if status, out := m.curl(t, at+"/v2/corp/app/manifests/x", forged...); status != "200" {
		t.Errorf("alice with forged headers is still alice: %s", out)
	}
	entry, err := m.gateway.Log.Wait(0, func(e gateway.Entry) bool { return e["credential"] == "trusted_header" })
	if err != nil || entry["principal"] != "user:alice" {
		t.Errorf("audit: %v, %v", entry, err)
	}
	sh := newShell(t, &stage.Stage{Addr: m.proxy})
	k := &skopeo{sh}
	if err := k.Login("alice", stage.LongPassword, ""); err != nil {
		t.Fatal(err)
	}
	if err := k.Make("corp/skopeo", firstTag, []byte("by skopeo")); err != nil {
		t.Fatal(err)
	}
	if err := k.Push("corp/skopeo", firstTag); err != nil {
		t.Error(err)
	}
	if err := k.Login("alice", "wrong", ""); err == nil {
		t.Error("the proxy takes any password")
	}
}

func (m *machines) tokenReview(t *testing.T) {
	process.Need(t, "skopeo")
	const path = "/v2/team/app/manifests/x"
	bearer := func(token string) []string { return []string{"-H", "Authorization: Bearer " + token} }
	token := m.cluster.token(t, "ci", "builder", "registry.test")
	sh := newShell(t, &stage.Stage{Addr: m.addr})
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.crt"), mustRead(t, m.file("ca")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sh.pipe(token, "skopeo", "login", "--cert-dir", certs, "-u", "kubernetes", "--password-stdin", m.addr); err != nil {
		t.Errorf("skopeo login with a service account's token: %v", err)
	}
	for _, c := range []struct{ name, token, want string }{
		{"right", token, "200"},
		{"another account", m.cluster.token(t, "ci", "other", "registry.test"), "403"},
		{"for another audience", m.cluster.token(t, "ci", "builder", "vault"), "401"},
		{"changed", token[:len(token)-8] + "AAAAAAAA", "401"},
		{"huge", token + strings.Repeat("A", 20<<10), "400"},
	} {
		if status, out := m.curl(t, path, bearer(c.token)...); status != c.want {
			t.Errorf("%s: want %s, got\n%s", c.name, c.want, out)
		}
	}
}

func (m *machines) external(t *testing.T) {
	process.Need(t, "skopeo")
	const path = "/v2/team/app/manifests/x"
	sh := newShell(t, &stage.Stage{Addr: m.addr})
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.crt"), mustRead(t, m.file("ca")), 0o600); err != nil {
		t.Fatal(err)
	}
	login := func(password string) error {
		_, err := sh.pipe(password, "skopeo", "login", "--cert-dir", certs, "-u", "carol", "--password-stdin", m.addr)
		return err
	}
	if err := login("correct horse"); err != nil {
		t.Errorf("skopeo login: %v", err)
	}
	if _, err := sh.run("skopeo", "inspect", "--cert-dir", certs, "docker://"+sh.ref("team/app", "x")); err != nil {
		t.Errorf("skopeo inspect: %v", err)
	}
	if err := login("wrong"); err == nil {
		t.Error("skopeo login with a wrong password succeeds")
	}
	for _, c := range []struct{ name, user, want string }{
		{"right", "carol:correct horse", "200"},
		{"wrong", "carol:wrong", "401"},
		{"disabled", "disabled:x", "401"},
		{"nobody", "nobody:x", "401"},
		{"huge user", strings.Repeat("u", 300) + ":x", "400"},
		{"huge password", "carol:" + strings.Repeat("p", 20<<10), "400"},
	} {
		if status, out := m.curl(t, path, "-u", c.user); status != c.want {
			t.Errorf("%s: want %s, got\n%s", c.name, c.want, out)
		}
	}
}

func (m *machines) serviceSecret(t *testing.T) {
	secret := "Authorization: Registry-Secret " + scannerSecret
	for _, c := range []struct {
		name, path string
		args       []string
		want       string
	}{
		{"login check", "/v2/", []string{"-H", secret}, "200"},
		{"pull", "/v2/other/app/manifests/x", []string{"-H", secret}, "200"},
		{"push", "/v2/team/app/blobs/uploads/", []string{"-H", secret, "-X", "POST"}, "403"},
		{"token", "/v2/token?service=" + m.addr + "&scope=repository:other/app:pull", []string{"-H", secret}, "200"},
		{"wrong", "/v2/", []string{"-H", secret + "x"}, "401"},
		{"as a password", "/v2/", []string{"-u", "scanner:" + scannerSecret}, "401"},
		{"as a bearer", "/v2/", []string{"-H", "Authorization: Bearer " + strings.ReplaceAll(scannerSecret, "'", "-")}, "401"},
	} {
		if status, out := m.curl(t, c.path, c.args...); status != c.want {
			t.Errorf("%s: want %s, got\n%s", c.name, c.want, out)
		}
	}
	for _, line := range m.gateway.Log.Since(0) {
		if strings.Contains(line, scannerSecret) || strings.Contains(line, clusterToken) || strings.Contains(line, "correct horse") {
			t.Errorf("a secret is in the log: %.400s", line)
		}
	}
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
