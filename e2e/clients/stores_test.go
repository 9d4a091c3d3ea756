package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// TestCredentialStores keeps device logins in real stores of operating
// systems: a GnuPG-encrypted one and a desktop's Secret Service.
func TestCredentialStores(t *testing.T) {
	process.Need(t, "crane", "skopeo", "pass", "gpg", "secret-tool", "gnome-keyring-daemon", "dbus-daemon")
	helpers := dockersHelpers(t)
	s := newPeopleScene(t, "on")
	alice := s.signIn("alice")
	maker := s.shell()
	token := s.accessToken(alice, "maker")
	if _, err := maker.pipe(token, "crane", "auth", "login", s.addr, "--username", "alice", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	if _, err := maker.run("crane", "append", "--insecure", "--oci-empty-base", "-f", emptyLayer(t), "-t", maker.ref("team/app", firstTag)); err != nil {
		t.Fatal(err)
	}
	dir := helper(t)
	program := filepath.Join(dir, "docker-credential-caddy-registry")
	path := "PATH=" + dir + ":" + helpers + ":" + os.Getenv("PATH")

	// keeps logs in, uses the login, and logs out; kept looks into the store.
	keeps := func(t *testing.T, sh *shell, kept func() string, name string, login, logout []string) {
		t.Helper()
		if out, err := s.approve(t, sh, alice, "approve", name, login...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(kept(), s.addr) {
			t.Errorf("the store does not have %s: %s", s.addr, kept())
		}
		files, err := exec.CommandContext(t.Context(), "grep", "-rl", "crait_", sh.home).CombinedOutput()
		if len(files) > 0 || err == nil {
			t.Errorf("the token is readable in %s", files)
		}
		for _, client := range [][]string{
			{"crane", "digest", "--insecure", sh.ref("team/app", firstTag)},
			{"skopeo", "inspect", "--tls-verify=false", "--authfile", filepath.Join(sh.home, "docker", "config.json"), "docker://" + sh.ref("team/app", firstTag)},
		} {
			if _, err := sh.run(client[0], client[1:]...); err != nil {
				t.Error(err)
			}
		}
		if _, err := sh.run(name, logout...); err != nil {
			t.Error(err)
		}
		if strings.Contains(kept(), s.addr) {
			t.Errorf("after the logout the store has %s", kept())
		}
		if _, err := sh.run("crane", "digest", "--insecure", sh.ref("team/app", firstTag)); err == nil {
			t.Error("crane goes on after the logout")
		}
	}

	t.Run("pass", func(t *testing.T) {
		sh := s.shell(append(passStore(t), path, "CADDY_REGISTRY_STORE=helper:pass")...)
		list := func() string { return printedBy(t, sh, filepath.Join(helpers, "docker-credential-pass"), "list") }
		keeps(t, sh, list, program, []string{"login", s.addr}, []string{"logout", s.addr})
	})
	t.Run("what docker's configuration names", func(t *testing.T) {
		sh := s.shell(append(passStore(t), path)...)
		config := filepath.Join(sh.home, "docker", "config.json")
		if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, []byte(`{"credHelpers":{"`+s.addr+`":"pass"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		caddy, err := gateway.Build()
		if err != nil {
			t.Fatal(err)
		}
		list := func() string { return printedBy(t, sh, filepath.Join(helpers, "docker-credential-pass"), "list") }
		keeps(t, sh, list, caddy, []string{"registry-auth", "login", s.addr, "--no-browser"}, []string{"registry-auth", "logout", s.addr})
	})
	t.Run("secret service", func(t *testing.T) {
		sh := s.shell(append(secretService(t), path)...) // a desktop's session is found by itself
		list := func() string { return printedBy(t, sh, program, "list") }
		keeps(t, sh, list, program, []string{"login", s.addr}, []string{"logout", s.addr})
	})
}

// dockersHelpers is where docker's own credential helpers are. They are not in
// PATH: docker would keep all logins with them by itself.
func dockersHelpers(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".bin", "stores", "usr", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	process.Need(t, filepath.Join(dir, "docker-credential-pass"))
	return dir
}

// printedBy is what a command prints, which must succeed.
func printedBy(t *testing.T, sh *shell, name string, args ...string) string {
	t.Helper()
	out, err := sh.run(name, args...)
	if err != nil {
		t.Error(err)
	}
	return out
}

// emptyLayer is a tar file without anything in it.
func emptyLayer(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(file, make([]byte, 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shortDir is a folder whose name fits into that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// passStore makes a password store with a key of its own, and returns the
// environment that leads there.
func passStore(t *testing.T) []string {
	t.Helper()
	dir := shortDir(t)
	env := []string{"GNUPGHOME=" + dir, "PASSWORD_STORE_DIR=" + filepath.Join(dir, "store")}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "alice@example.com", "default", "default", "never")
	run("pass", "init", "alice@example.com")
	t.Cleanup(func() {
		cmd := exec.Command("gpgconf", "--kill", "all") // its agent goes on otherwise
		cmd.Env = append(os.Environ(), env...)
		_ = cmd.Run()
	})
	return env
}

// secretService starts a desktop's session with an unlocked keyring, and
// returns the environment that leads there.
func secretService(t *testing.T) []string {
	t.Helper()
	dir := shortDir(t)
	env := []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "bus"), "XDG_RUNTIME_DIR=" + dir, "XDG_DATA_HOME=" + dir, "HOME=" + dir}
	start := func(name, stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(stdin)
		p, err := process.Start(name, cmd, filepath.Join(t.TempDir(), name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Stop() })
	}
	start("dbus-daemon", "", "--session", "--nofork", "--address=unix:path="+filepath.Join(dir, "bus"))
	eventually(t, "the session's bus", func() bool { _, err := os.Stat(filepath.Join(dir, "bus")); return err == nil })
	start("gnome-keyring-daemon", "\n", "--foreground", "--unlock", "--components=secrets")
	eventually(t, "the keyring", func() bool {
		cmd := exec.CommandContext(t.Context(), "secret-tool", "store", "--label", "probe", "probe", "probe")
		cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader("probe")
		return cmd.Run() == nil
	})
	return env[:1]
}
