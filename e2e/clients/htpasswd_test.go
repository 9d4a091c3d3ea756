package clients

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// htpasswdSite is a gateway for people with passwords.
const htpasswdSite = `
http://:PORT {
	bind 127.0.0.1
	registry_auth {
		public_url URL
		service SERVICE
		htpasswd FILE {
			groups FILE.groups
		}
		local {
			prefix local-
			user admin {env.ADMIN_PASSWORD_HASH} {
				break_glass
			}
			user gone {env.ADMIN_PASSWORD_HASH} {
				disabled
			}
		}
		passwords SWITCH
		token {
			path /v2/token /token
		}
		admin user:local-admin
		project team/** {
			maintainer group:team
			guest user:bob
		}
	}
	reverse_proxy REGISTRY
}
`

// people is a gateway in front of a registry whose users are in an htpasswd
// file that the real htpasswd program writes.
type people struct {
	*stage.Stage

	t      *testing.T
	file   string
	config gateway.Config
}

func startPeople(t *testing.T) *people {
	t.Helper()
	process.Need(t, "htpasswd", "docker-registry", "curl")
	dir := t.TempDir()
	p := &people{t: t, file: filepath.Join(dir, "users"), Stage: &stage.Stage{}}
	p.set("alice", "correct horse", "-c")
	p.set("bob", "battery staple")
	if err := os.WriteFile(p.file+".groups", []byte("team: alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, filepath.Join(dir, "registry"), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	p.Direct = &upstream.Client{URL: registry.URL}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = fmt.Sprintf("127.0.0.1:%d", port)
	p.URL = "http://" + p.Addr
	p.config = gateway.Config{
		Sites: strings.NewReplacer("PORT", fmt.Sprint(port), "URL", p.URL, "SERVICE", stage.Service, "FILE", p.file, "REGISTRY", registry.URL).
			Replace(htpasswdSite),
		Env:      []string{"ADMIN_PASSWORD_HASH=" + hashPassword(t, "in case of fire")},
		ReadyURL: p.URL + "/v2/",
	}
	if p.Gateway, err = gateway.Start(t.Context(), p.with("on")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fault := range p.Gateway.Log.Faults(0) {
			t.Error("gateway log: ", fault)
		}
		if err := p.Gateway.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// with is the configuration with passwords on or off.
func (p *people) with(passwords string) gateway.Config {
	c := p.config
	c.Sites = strings.ReplaceAll(c.Sites, "SWITCH", passwords)
	return c
}

// set has the htpasswd program write a password, which it reads from its
// standard input.
func (p *people) set(user, password string, flags ...string) {
	p.t.Helper()
	p.htpasswd(password, append(flags, "-iB", p.file, user)...)
}

func (p *people) htpasswd(stdin string, args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "htpasswd", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("htpasswd %q: %v: %s", args, err, out)
	}
}

// hashPassword asks the gateway's own command.
func hashPassword(t *testing.T, password string) string {
	t.Helper()
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "registry-auth", "hash-password")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// status asks with curl, as somebody or with a registry token.
func (p *people) status(path string, args ...string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), "curl", append(args, "-s", "-o", "/dev/null", "-w", "%{http_code}", p.URL+path)...).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return string(out)
}

// token exchanges a password for a registry token.
func (p *people) token(user, password string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), "curl", "-sf", "-u", user+":"+password,
		p.URL+"/token?service="+stage.Service+"&scope=repository:team/app:pull").Output()
	if err != nil {
		p.t.Fatalf("token for %s: %v", user, err)
	}
	_, rest, _ := strings.Cut(string(out), `"token":"`)
	token, _, found := strings.Cut(rest, `"`)
	if !found {
		p.t.Fatalf("no token in %s", out)
	}
	return token
}

// TestHtpasswd lets docker and skopeo in with the users of a real htpasswd
// file, and changes it under them.
func TestHtpasswd(t *testing.T) {
	process.Need(t, "skopeo")
	engines := needEngines(t)
	p := startPeople(t)
	for name, client := range map[string]interface {
		tool
		tagger
	}{
		"docker": &docker{newShell(t, p.Stage, "DOCKER_HOST="+engines.DockerHost())},
		"skopeo": &skopeo{newShell(t, p.Stage)},
	} {
		t.Run(name, func(t *testing.T) {
			player := &player{T: t, stage: p.Stage, client: client, name: name}
			repository := "team/" + name + "/app"
			if in := func() bool { return p.status("/v2/", "-u", "alice:correct horse") == "200" }; !in() {
				p.set("alice", "correct horse") // the client before has left another one
				eventually(t, "alice is let in", in)
			}

			player.refused("login with a wrong password", client.Login("alice", "battery staple", ""))
			player.refused("login of nobody", client.Login("mallory", "correct horse", ""))
			player.refused("login of a disabled account", client.Login("gone", "in case of fire", ""))
			player.refused("login with 16,000 bytes", client.Login("alice", strings.Repeat("x", 16000), ""))

			player.must("login as alice", client.Login("alice", "correct horse", ""))
			player.sameUpstream(repository, player.makeAndPush(repository))
			player.pull(repository)

			player.must("login as bob", client.Login("bob", "battery staple", ""))
			player.pull(repository)
			player.must("make an image", client.Make(repository, secondTag, []byte(rand.Text())))
			player.refused("push of a guest", client.Push(repository, secondTag))

			// A new password, while the client has the old one.
			player.must("login as alice", client.Login("alice", "correct horse", ""))
			p.set("alice", "another one")
			eventually(t, "the new password is accepted", func() bool { return p.status("/v2/", "-u", "alice:another one") == "200" })
			player.must("make an image", client.Make(repository, secondTag, []byte(rand.Text())))
			player.refused("push with the old password", client.Push(repository, secondTag))
			player.must("login with the new password", client.Login("alice", "another one", ""))
			player.must("push with the new password", client.Push(repository, secondTag))
			player.must("login in an emergency", client.Login("admin", "in case of fire", ""))
			player.pull(repository)
		})
	}
}

// TestHtpasswdChanges looks at what is left of a password that was changed,
// of a user who was deleted, and of passwords that are switched off.
func TestHtpasswdChanges(t *testing.T) {
	p := startPeople(t)
	const tags = "/v2/team/app/tags/list"
	alice, bob := p.token("alice", "correct horse"), p.token("bob", "battery staple")
	admin := p.token("admin", "in case of fire")
	for who, token := range map[string]string{"alice": alice, "bob": bob} {
		if got := p.status(tags, "--oauth2-bearer", token); got != "404" { // the registry's answer
			t.Fatalf("token of %s: %s", who, got)
		}
	}
	p.set("alice", "another one")
	eventually(t, "the token of the old password is refused", func() bool { return p.status(tags, "--oauth2-bearer", alice) == "401" })
	for _, c := range []struct{ credential, want string }{{"alice:correct horse", "401"}, {"alice:another one", "404"}, {"bob:battery staple", "404"}} {
		if got := p.status(tags, "-u", c.credential); got != c.want {
			t.Errorf("%s: %s, want %s", c.credential, got, c.want)
		}
	}
	if got := p.status(tags, "--oauth2-bearer", bob); got != "404" {
		t.Errorf("the token of somebody else: %s", got)
	}
	p.htpasswd("", "-D", p.file, "bob")
	eventually(t, "the token of a deleted user is refused", func() bool { return p.status(tags, "--oauth2-bearer", bob) == "401" })
	if got := p.status(tags, "-u", "bob:battery staple"); got != "401" {
		t.Errorf("the password of a deleted user: %s", got)
	}

	mark := p.Gateway.Log.Mark()
	p.htpasswd("legacy", "-im", p.file, "carol") // MD5
	if _, err := p.Gateway.Log.Wait(mark, func(e gateway.Entry) bool {
		reason, _ := e["error"].(string)
		return e["level"] == "error" && strings.Contains(reason, p.file+":2: ")
	}); err != nil {
		t.Error(err)
	}
	if got := p.status(tags, "-u", "alice:another one"); got != "404" {
		t.Errorf("alice after a broken line: %s", got)
	}

	alice = p.token("alice", "another one")
	if err := p.Gateway.Reload(t.Context(), p.with("off")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, flag, credential, want string }{
		{"password", "-u", "alice:another one", "401"},
		{"token of a password", "--oauth2-bearer", alice, "401"},
		{"emergency", "-u", "admin:in case of fire", "404"},
		{"token of the emergency", "--oauth2-bearer", admin, "404"},
		{"wrong password in an emergency", "-u", "admin:another one", "401"},
	} {
		if got := p.status(tags, c.flag, c.credential); got != c.want {
			t.Errorf("%s with passwords off: %s, want %s", c.what, got, c.want)
		}
	}
}
