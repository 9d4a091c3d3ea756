package clients

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestCosign signs with a real cosign 3, in the documented way and with a
// signing configuration without services. It runs where there is a cosign.
func TestCosign(t *testing.T) {
	program := process.Optional(t, "cosign")
	process.Need(t, "crane", upstream.Distribution3.Program)
	keys := t.TempDir()
	for _, args := range [][]string{
		{"generate-key-pair"},
		{"generate-key-pair", "--output-key-prefix", "other"},
		{"signing-config", "create", "--out", "signing.json"},
		{"trusted-root", "create", "--out", "root.json"},
	} {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir, cmd.Env = keys, append(cmd.Environ(), "COSIGN_PASSWORD=x")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	file := func(name string) string { return filepath.Join(keys, name) }
	s, err := stage.Start(t.Context(), stage.Options{
		Kind:  upstream.Distribution3,
		Realm: "project team/signed/** {\n require signature {\n key " + file("cosign.pub") + "\n }\n }\n",
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Stop() })

	ci, reader := &crane{shell: newShell(t, s, "COSIGN_PASSWORD=x")}, &crane{shell: newShell(t, s)}
	services := []string{"--signing-config", file("signing.json"), "--trusted-root", file("root.json")}
	for _, test := range []struct {
		name, key string
		how       []string
		pulled    bool
	}{
		{"documented", "cosign.key", []string{"--tlog-upload=false", "--use-signing-config=false", "--recursive"}, true},
		{"configured", "cosign.key", services, true},
		{"another key", "other.key", services, false},
		{"unsigned", "", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository := "team/signed/" + strings.ReplaceAll(test.name, " ", "-")
			must(t, ci.Login("robot-ci", s.Robots["ci"].Secret, "team/app"))
			must(t, reader.Login("robot-reader", s.Robots["reader"].Secret, "team/app"))
			must(t, ci.Make(repository, firstTag, []byte(test.name)))
			must(t, ci.Push(repository, firstTag))
			digest, err := ci.run("crane", "digest", "--insecure", "--full-ref", ci.ref(repository, firstTag))
			must(t, err)
			if test.key != "" {
				args := append([]string{"sign", "--yes", "--key", file(test.key), "--allow-http-registry"}, test.how...)
				_, err := ci.run(program, append(args, strings.TrimSpace(digest))...)
				must(t, err)
			}
			_, err = reader.Pull(repository, firstTag)
			for start := time.Now(); test.pulled && err != nil && time.Since(start) < 12*time.Second; { // a refusal is remembered for ten seconds
				time.Sleep(500 * time.Millisecond)
				_, err = reader.Pull(repository, firstTag)
			}
			if test.pulled {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), "has no valid signature of the keys configured for it") {
				t.Errorf("pull: %v", err)
			}
		})
	}
}
