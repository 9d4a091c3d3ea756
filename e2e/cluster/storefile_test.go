package cluster

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// besides adds a site that has nothing to do with the registry, and returns its
// address.
func (n *node) besides(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	n.config.Sites += fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\trespond \"other\"\n}\n", port)
	return fmt.Sprintf("http://127.0.0.1:%d/", port)
}

// answers returns the body of a page, "" if there is none.
func answers(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// damages are what happens to files.
var damages = map[string]func(path string, content []byte) error{
	"cut off": func(path string, content []byte) error { return os.WriteFile(path, content[:len(content)/2], 0o600) },
	"empty":   func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
	"foreign": func(path string, _ []byte) error {
		return os.WriteFile(path, []byte(strings.Repeat("something else\n", 4000)), 0o600)
	},
	"deleted": func(path string, _ []byte) error { return os.Remove(path) },
	"zeros in the middle": func(path string, content []byte) error {
		damaged := append([]byte{}, content...)
		clear(damaged[2*4096 : len(damaged)/2])
		return os.WriteFile(path, damaged, 0o600)
	},
}

// TestUnusableFile: a gateway that starts on a file that is no store serves its
// other sites, says what is wrong, makes no empty store, and goes on by itself
// once a good file is there.
func TestUnusableFile(t *testing.T) {
	upstream := registry(t).URL
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.db")
			n := configure(t, "bolt "+file, upstream, withKey)
			other := n.besides(t)
			n.start(t)
			login := n.robot(t, "ci")
			n.Kill()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(file, content); err != nil {
				t.Fatal(err)
			}
			n.launch(t)
			within(t, 10*time.Second, "the other site", func() bool { return answers(other) == "other" })
			r := n.send(t.Context(), "GET", manifest, login, "")
			if r.StatusCode != 503 || !strings.Contains(r.body, "cannot use its store") || r.Header.Get("Retry-After") != "" {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if r := n.send(t.Context(), "GET", "/auth/api/v1/health", "", ""); r.StatusCode != 503 {
				t.Errorf("health: %d %s", r.StatusCode, r.body)
			}
			_, err = n.Log.Wait(0, func(e gateway.Entry) bool {
				said := fmt.Sprint(e["error"])
				return strings.Contains(said, file) && strings.Contains(said, "state restore")
			})
			if err != nil {
				t.Errorf("the log does not say what to do: %v", err)
			}
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			within(t, 20*time.Second, "a good file is taken", func() bool { return n.status(t, login) == 200 })
		})
	}
}

// TestFileLostWhileRunning: what cannot be kept is not acknowledged, health says
// so, and who is known comes in.
func TestFileLostWhileRunning(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "state.db")
	n := configure(t, "bolt "+file, registry(t).URL, withKey)
	n.start(t)
	login := n.robot(t, "ci")
	health := func() string { return n.send(t.Context(), "GET", "/auth/api/v1/health", "", "").body }
	put := func(name string) reply {
		return n.send(t.Context(), "PUT", "/auth/api/v1/robots/"+name, "Bearer "+adminKey, `{"permissions":[]}`)
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	lost := func(what string) {
		t.Helper()
		r := put("lost")
		if r.StatusCode != 503 || !strings.Contains(r.body, "#store-unusable") {
			t.Errorf("%s: %d %s", what, r.StatusCode, r.body)
		}
		n.want(t, what+": who is known", login, 200)
		within(t, 4*time.Second, what+": health", func() bool {
			return strings.Contains(health(), `"degraded"`) && strings.Contains(health(), `"damaged"`)
		})
	}
	back := func(what string) {
		t.Helper()
		within(t, 4*time.Second, what+": health is good again", func() bool { return strings.Contains(health(), `"status":"ok"`) })
		if r := put("back-" + what); r.StatusCode != 201 {
			t.Errorf("back: %d %s", r.StatusCode, r.body)
		}
	}
	move("state.db", "away")
	lost("moved")
	move("away", "state.db")
	back("moved")

	move("state.db", "away")
	content, err := os.ReadFile(filepath.Join(dir, "away"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	lost("replaced")
	move("away", "state.db")
	back("replaced")

	if err := os.Truncate(file, 4096); err != nil {
		t.Fatal(err)
	}
	lost("cut off")
	n.want(t, "the process goes on", login, 200)
}

// TestReloadOntoUnusableStore: a reload that could not serve is refused, and what
// is in force goes on.
func TestReloadOntoUnusableStore(t *testing.T) {
	dir := t.TempDir()
	good, broken := filepath.Join(dir, "state.db"), filepath.Join(dir, "broken.db")
	n := configure(t, "bolt "+good, registry(t).URL, withKey)
	n.start(t)
	login := n.robot(t, "ci")
	before := n.config
	for name, store := range map[string]string{
		"damaged":          "bolt " + broken,
		"database is away": "postgres postgres://nobody@127.0.0.1:1/none",
	} {
		if err := os.WriteFile(broken, []byte("nothing"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.config.Global = strings.Replace(before.Global, "bolt "+good, store, 1)
		err := n.Reload(t.Context(), n.config)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), "store") {
			t.Errorf("%s: %v", name, err)
		}
		http.DefaultClient.CloseIdleConnections()
		n.want(t, name+": the old configuration goes on", login, 200)
		n.robot(t, "after-"+strings.Fields(name)[0])
	}
	if err := n.Reload(t.Context(), before); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	n.want(t, "the old one again", login, 200)
}

// state runs a command of `caddy registry-auth state` and returns what it prints
// and its exit status.
func (n *node) state(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	cmd := n.Command(t.Context(), append([]string{"registry-auth", "state"}, args...)...)
	text, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// TestStateCommands copies, checks and restores a store by the commands, with
// and without the gateway.
func TestStateCommands(t *testing.T) {
	dir := t.TempDir()
	file, copied, copies := filepath.Join(dir, "state.db"), filepath.Join(dir, "copy.db"), filepath.Join(dir, "copies")
	n := configure(t, "bolt "+file+" {\n\t\t\tbackup {\n\t\t\t\tevery 1h\n\t\t\t\tkeep 2\n\t\t\t\tto "+copies+"\n\t\t\t}\n\t\t}", registry(t).URL, withKey)
	n.start(t)
	kept := n.robot(t, "kept")
	admin := "--address=unix/" + filepath.Join(filepath.Dir(n.Caddyfile()), "admin.sock")
	want := func(out string, status, wantStatus int, text string) {
		t.Helper()
		if status != wantStatus || !strings.Contains(out, text) {
			t.Errorf("status %d, want %d and %q:\n%s", status, wantStatus, text, out)
		}
	}
	out, status := n.state(t, "verify", admin)
	want(out, status, 0, "good")
	out, status = n.state(t, "backup", copied, admin)
	want(out, status, 0, "found good")
	out, status = n.state(t, "backup", copied, admin)
	want(out, status, 2, "exists")
	out, status = n.state(t, "verify", copied)
	want(out, status, 0, "good")
	out, status = n.state(t, "verify", file)
	want(out, status, 3, "in use by another process")
	out, status = n.state(t, "restore", copied, "--file", file)
	want(out, status, 3, "stop the gateway")
	within(t, 10*time.Second, "the scheduled copy", func() bool {
		list, _ := filepath.Glob(filepath.Join(copies, "state-*.db"))
		return len(list) == 1
	})
	later := n.robot(t, "later")

	// What a gateway knows whose file was deleted is saved, and put back.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(dir, "saved.db")
	out, status = n.state(t, "verify", admin)
	want(out, status, 1, "was deleted")
	out, status = n.state(t, "backup", saved, admin)
	want(out, status, 0, "found good")
	n.Kill()
	out, status = n.state(t, "restore", saved, "--file", file)
	want(out, status, 0, "restored")
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	n.want(t, "nothing is lost", later, 200)

	// The older copy, in the place of a damaged file.
	n.Kill()
	if err := os.Truncate(file, 20000); err != nil {
		t.Fatal(err)
	}
	out, status = n.state(t, "verify", "--file", file)
	want(out, status, 1, "cut off")
	out, status = n.state(t, "backup", filepath.Join(dir, "none.db"), "--file", file)
	want(out, status, 1, "cut off")
	out, status = n.state(t, "restore", file, "--file", filepath.Join(dir, "none.db"))
	want(out, status, 1, "cut off")
	out, status = n.state(t, "restore", copied, "--file", file)
	want(out, status, 0, "What was there is")
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	n.want(t, "what was in the copy", kept, 200)
	n.want(t, "what was made after it", later, 401)
	out, status = n.state(t, "verfy")
	want(out, status, 2, "verify")
}
