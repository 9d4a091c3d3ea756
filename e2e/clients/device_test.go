package clients

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// TestDeviceLogin logs docker in with a code that alice approves with her
// browser: by the credential helper and by the command of the gateway.
func TestDeviceLogin(t *testing.T) {
	process.Need(t, "skopeo", "crane")
	e := needEngines(t)
	for name, kind := range map[string]string{"on": "crait_", "off": "crapt_"} {
		t.Run("refresh tokens "+name, func(t *testing.T) {
			s := newPeopleScene(t, name)
			alice := s.signIn("alice")
			t.Run("helper", func(t *testing.T) { s.helperLogin(t, alice, e.DockerHost(), kind) })
			t.Run("command", func(t *testing.T) { s.commandLogin(t, alice) })
			t.Run("refused", func(t *testing.T) {
				program, _ := gateway.Build()
				out, err := s.approve(t, s.shell(), alice, "refuse", program, "registry-auth", "login", s.addr, "--no-browser")
				if err == nil || !strings.Contains(out, "refused") {
					t.Errorf("%v: %s", err, out)
				}
			})
		})
	}
}

func (s *peopleScene) helperLogin(t *testing.T, alice *idp.Person, dockerHost, kind string) {
	dir := helper(t)
	program := filepath.Join(dir, "docker-credential-caddy-registry")
	sh := s.shell("DOCKER_HOST="+dockerHost, "PATH="+dir+":"+os.Getenv("PATH"), "CADDY_REGISTRY_STORE=file")
	if out, err := s.approve(t, sh, alice, "approve", program, "login", s.addr); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config, err := os.ReadFile(filepath.Join(sh.home, "docker", "config.json"))
	if err != nil || !strings.Contains(string(config), `"caddy-registry"`) || strings.Contains(string(config), kind) {
		t.Fatalf("docker's configuration: %v\n%s", err, config)
	}
	kept, err := os.ReadFile(filepath.Join(sh.home, "config", "caddy-registry", "credentials.json"))
	if err != nil || !strings.Contains(string(kept), kind) {
		t.Fatalf("what the helper keeps: %v", err)
	}
	d := &docker{sh}
	if err := d.Make("team/app", firstTag, []byte("device")); err != nil {
		t.Fatal(err)
	}
	if err := d.Push("team/app", firstTag); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Pull("team/app", firstTag); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(sh.home, "docker", "config.json")
	sh.env = append(sh.env, "REGISTRY_AUTH_FILE="+file)
	for _, line := range [][]string{
		{"crane", "digest", "--insecure", sh.ref("team/app", firstTag)},
		{"skopeo", "inspect", "--tls-verify=false", "docker://" + sh.ref("team/app", firstTag)},
	} {
		if _, err := sh.run(line[0], line[1:]...); err != nil {
			t.Error(err)
		}
	}
	if kind == "crait_" {
		page, err := alice.Open(t.Context(), "/auth/sessions")
		if err != nil || !strings.Contains(page, "Docker logins") || !strings.Contains(page, "Log out") {
			t.Errorf("the page of sessions: %v", err)
		}
	}
	if _, err := sh.run(program, "logout", s.addr); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Pull("team/app", firstTag); err == nil {
		t.Error("docker goes on after the logout")
	}
}

func (s *peopleScene) commandLogin(t *testing.T, alice *idp.Person) {
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	sh := s.shell()
	out, err := s.approve(t, sh, alice, "approve", program, "registry-auth", "login", s.addr, "--no-browser", "--scope", "repository:team/**:pull")
	if err != nil || !strings.Contains(out, "Logged in to "+s.addr+" as alice") {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(sh.home, "docker", "config.json")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := sh.run("crane", "digest", "--insecure", sh.ref("team/app", firstTag)); err != nil {
		t.Error(err)
	}
	if _, err := sh.run("crane", "tag", "--insecure", sh.ref("team/app", firstTag), "other"); err == nil {
		t.Error("a login for pulling pushes")
	}
	if out, err := sh.run(program, "registry-auth", "logout", s.addr); err != nil || !strings.Contains(out, "Logged out") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := sh.run("crane", "digest", "--insecure", sh.ref("team/app", firstTag)); err == nil {
		t.Error("crane goes on after the logout")
	}
}

// printed collects what a program prints while it runs.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// approve runs a program that shows a code, and decides about it with a
// browser.
func (s *peopleScene) approve(t *testing.T, sh *shell, who *idp.Person, decision, name string, args ...string) (string, error) {
	t.Helper()
	var out printed
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = sh.env, sh.home, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`http\S+(/auth/device\?user_code=(\S+))`)
	var found []string
	for deadline := time.Now().Add(20 * time.Second); found == nil; time.Sleep(50 * time.Millisecond) {
		if found = link.FindStringSubmatch(out.String()); found == nil && time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			t.Fatalf("no link: %s", out.String())
		}
	}
	page, err := who.Open(t.Context(), found[1])
	if err != nil || !strings.Contains(page, found[2]) || !strings.Contains(page, "127.0.0.1") {
		t.Fatalf("the page that asks: %v: %.600s", err, page)
	}
	if _, err := who.Send(t.Context(), "/auth/device/"+decision, url.Values{"user_code": {found[2]}}); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	return out.String(), err
}
