package management_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

func TestBootstrapKeyFile(t *testing.T) {
	s := memstore.New()
	path := filepath.Join(t.TempDir(), "sub", "admin-key")
	o := machineOptions{config: management.BootstrapConfig{AdminKeyFile: path}, dir: t.TempDir()}

	// The first start does not come to its end: the file is there and the
	// store knows nothing.
	broken := faultstore.Wrap(s)
	broken.Fail(faultstore.Apply, store.ErrUnavailable)
	if err := newMachine(t, broken, o).Start(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	key := read(t, path)

	machines := make([]*machine, 4)
	var group sync.WaitGroup
	for i := range machines {
		if machines[i] = newMachine(t, s, o); i > 1 {
			other := o
			other.dir, other.config.AdminKeyFile = t.TempDir(), filepath.Join(t.TempDir(), "admin-key")
			machines[i] = newMachine(t, s, other)
		}
		group.Go(func() {
			if err := machines[i].Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := len(machines[0].state.APIKeys.Sorted()); n != 1 {
		t.Fatalf("%d keys", n)
	}
	if machines[0].state.APIKeys.Sorted()[0].Value.Expires != (time.Time{}) {
		t.Error("the key does not last")
	}
	if who, err := machines[0].manager.KeyCaller(key, netip.Addr{}); err == nil && who != nil {
		if read(t, path) != key {
			t.Error("the file changed")
		}
	}
	for _, m := range machines {
		if m.Status() == nil {
			t.Error("still open")
		}
		if _, err := os.Stat(m.secretFile()); err == nil {
			t.Error("a bootstrap secret was generated nevertheless")
		}
	}
	checkEvents(t, machines[0], key)
}

func TestBootstrapReset(t *testing.T) {
	s := memstore.New()
	m := startMachine(t, s, machineOptions{})
	first := read(t, m.secretFile())
	if _, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: first}); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(m.ResetFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	call := func(secret string) error {
		_, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: secret})
		return err
	}
	for text, want := range map[string]string{"1": "says 1, the reset index is 0", "x": "does not hold a number (reset index: 0)"} {
		write(text)
		if err := call(first); code(err) != management.CodeConflict || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := os.Stat(m.ResetFile()); err != nil {
			t.Error("a file that is wrong was removed")
		}
	}
	write("0\n")
	if err := call(first); code(err) != management.CodeUnauthenticated {
		t.Errorf("the old secret after a reset: %v", err)
	}
	if _, err := os.Stat(m.ResetFile()); err == nil {
		t.Error("the file is still there")
	}
	second := read(t, m.secretFile())
	if err := m.Status(); err != nil || second == first {
		t.Fatalf("not open again: %v", err)
	}
	if err := call(second); err != nil {
		t.Fatal(err)
	}
	write("0")
	if err := call(second); code(err) != management.CodeConflict || !strings.Contains(err.Error(), "says 0, the reset index is 1") {
		t.Errorf("the old index again: %v", err)
	}
	if n := len(m.state.APIKeys.Sorted()); n != 2 {
		t.Errorf("%d keys, want those of both", n)
	}

	// By hand, from the machine itself.
	if err := m.Reset(t.Context(), stranger()); code(err) != management.CodeForbidden {
		t.Errorf("by a stranger: %v", err)
	}
	local := management.Local("local", "root")
	if err := m.Reset(t.Context(), local); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Call(t.Context(), local, management.BootstrapCall{}); err != nil {
		t.Fatal(err)
	}
	checkEvents(t, m, first, second)
	resets := 0
	events, _ := m.state.Events(t.Context(), "", 100)
	for _, e := range events {
		if e.Action == "bootstrap.reset" {
			resets++
		}
	}
	if resets != 2 {
		t.Errorf("%d resets are audited", resets)
	}
	// A right file is found by a start, too.
	write("2")
	again := startMachine(t, s, machineOptions{dir: m.directory})
	if err := again.Status(); err != nil {
		t.Error(err)
	}
}

func TestBootstrapFile(t *testing.T) {
	secret, hash := authn.NewSecret(authn.SecretAPIKey)
	path := filepath.Join(t.TempDir(), "bootstrap.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := machineOptions{config: management.BootstrapConfig{File: path}}
	for name, text := range map[string]string{"unknown field": "version: 1\nrobotz: []", "wrong role": "version: 1\nrole_mappings: [{principal: a, role: gast}]"} {
		write(text)
		if err := newMachine(t, memstore.New(), o).Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write("version: 1\nprojects: [{name: web, patterns: [web/**]}]\nrobots: [{name: web+ci, permissions: [{name: web/app, actions: [pull]}]}]\napi_keys: [{name: terraform, scopes: ['*'], hash: '" + hash + "'}]\n")
	s := memstore.New()
	var group sync.WaitGroup
	machines := make([]*machine, 3)
	for i := range machines {
		machines[i] = newMachine(t, s, o)
		group.Go(func() {
			if err := machines[i].Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	m := machines[0]
	if who, err := m.manager.KeyCaller(secret, netip.Addr{}); who == nil || err != nil {
		t.Errorf("the key of the file: %v", err)
	}
	if m.Status() == nil {
		t.Error("open, although there is an administrator's key")
	}
	checkEvents(t, m, secret)
	// Once: what is deleted does not come back, and later changes do nothing.
	local := management.Local("local", "")
	if err := m.manager.DeleteRobot(t.Context(), local, "web+ci", management.Match{}); err != nil {
		t.Fatal(err)
	}
	startMachine(t, s, o)
	if _, ok := m.state.Robots.Get("web+ci"); ok {
		t.Error("applied a second time")
	}
	// A store that was in use is left alone.
	used := memstore.New()
	before := startMachine(t, used, machineOptions{secret: bootstrapSecret})
	if _, err := before.manager.CreateRobot(t.Context(), local, management.NewRobot{Name: "there"}); err != nil {
		t.Fatal(err)
	}
	after := startMachine(t, used, o)
	if n := len(after.state.Robots.Sorted()); n != 1 {
		t.Errorf("%d robots in a store that was in use", n)
	}
}

func TestBootstrapSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(bootstrapSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startMachine(t, memstore.New(), machineOptions{config: management.BootstrapConfig{SecretFile: path}})
	if _, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: bootstrapSecret}); err != nil {
		t.Fatal(err)
	}
	if read(t, path) != bootstrapSecret {
		t.Error("somebody's own file was touched")
	}
	for name, content := range map[string]string{"empty": "\n", "short": "short", "large": strings.Repeat("x", 5000)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newMachine(t, memstore.New(), machineOptions{config: management.BootstrapConfig{SecretFile: path}})
		if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBootstrapFilesOfOthers: a secret that somebody else could have written is
// none, be it the bootstrap secret, the administrator's key or the reset index.
func TestBootstrapFilesOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes do not say who may write there")
	}
	key, _ := authn.NewSecret(authn.SecretAPIKey)
	foreign := map[string]func(path string) error{
		"a mode that lets the group write": func(path string) error { return os.Chmod(path, 0o660) },
		"a mode that lets others write":    func(path string) error { return os.Chmod(path, 0o602) },
	}
	if os.Geteuid() == 0 {
		foreign["another owner"] = func(path string) error { return os.Chown(path, 65534, 65534) }
	}
	for name, change := range foreign {
		t.Run(name, func(t *testing.T) {
			write := func(text string) string {
				t.Helper()
				path := filepath.Join(t.TempDir(), "secret")
				if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), change(path)); err != nil {
					t.Fatal(err)
				}
				return path
			}
			secret := strings.Repeat("known-to-the-attacker-", 3)
			m := newMachine(t, memstore.New(), machineOptions{config: management.BootstrapConfig{SecretFile: write(secret)}})
			if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "others could have written it") {
				t.Errorf("secret_file: %v", err)
			}
			if _, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: secret}); err == nil {
				t.Error("the secret is good")
			}
			m = newMachine(t, memstore.New(), machineOptions{config: management.BootstrapConfig{AdminKeyFile: write(key)}})
			if err := m.Start(t.Context()); err == nil || len(m.state.APIKeys.Sorted()) > 0 {
				t.Errorf("admin_key_file: %v", err)
			}
		})
	}
}
