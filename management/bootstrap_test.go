package management_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

const bootstrapSecret = "a-secret-of-at-least-32-characters-01"

// machine is one gateway with its disk.
type machine struct {
	*management.Bootstrap
	state     *state.State
	manager   *management.Manager
	directory string
	log       *bytes.Buffer
	now       time.Time
}

type machineOptions struct {
	config management.BootstrapConfig
	secret string
	dir    string // of the machine, if it starts again
	keys   []string
}

func startMachine(t testing.TB, s store.Store, o machineOptions) *machine {
	t.Helper()
	m := newMachine(t, s, o)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func newMachine(t testing.TB, s store.Store, o machineOptions) *machine {
	t.Helper()
	st, err := state.Open(t.Context(), s, "default", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	m := &machine{state: st, directory: o.dir, log: new(bytes.Buffer), now: time.Now()}
	if m.directory == "" {
		m.directory = t.TempDir()
	}
	policy, err := authz.Compile(authz.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var static []management.StaticKeyConfig
	for i := range o.keys {
		static = append(static, management.StaticKeyConfig{Name: fmt.Sprint("static", i)})
	}
	m.manager, err = management.New(management.Options{
		State: st, Policy: func() *authz.Policy { return policy }, Now: func() time.Time { return m.now },
		Config: management.Config{APIKeys: static}, StaticKeys: o.keys, Log: slog.New(slog.NewTextHandler(m.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.secret != "" {
		o.config.Secret = "{env.SECRET}"
	}
	m.Bootstrap, err = management.NewBootstrap(management.BootstrapOptions{
		Manager: m.manager, Config: o.config, Secret: o.secret, Directory: m.directory, Host: "host-" + filepath.Base(m.directory),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func code(err error) management.Code {
	var e *management.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return management.AsError(err).Code
	}
	return ""
}

func stranger() *management.Caller {
	return &management.Caller{Remote: netip.MustParseAddr("192.0.2.1")}
}

func (m *machine) secretFile() string { return filepath.Join(m.directory, "bootstrap-secret") }

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %v", path, info.Mode())
	}
	return strings.TrimSpace(string(raw))
}

func TestBootstrapOnce(t *testing.T) {
	m := startMachine(t, memstore.New(), machineOptions{secret: bootstrapSecret})
	if err := m.Status(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"", "wrong", bootstrapSecret + "x", bootstrapSecret[1:]} {
		if _, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: secret}); code(err) != management.CodeUnauthenticated {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
	made, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: bootstrapSecret})
	if err != nil {
		t.Fatal(err)
	}
	if d := made.Expires.Sub(m.now); d > time.Hour || d < 59*time.Minute {
		t.Errorf("good for %s", d)
	}
	who, err := m.manager.KeyCaller(made.Key, netip.Addr{})
	if err != nil || who == nil || who.Actor().Kind != "bootstrap" {
		t.Fatalf("the key: %v, %v", who, err)
	}
	if err := m.Status(); code(err) != management.CodeNotFound {
		t.Errorf("still open: %v", err)
	}
	for _, secret := range []string{"wrong", bootstrapSecret} {
		_, err = m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: secret})
		if code(err) != management.CodeConflict || !strings.Contains(err.Error(), "reset index: 0") {
			t.Errorf("again: %v", err)
		}
	}
	m.now = m.now.Add(time.Hour)
	if _, err := m.manager.KeyCaller(made.Key, netip.Addr{}); code(err) != management.CodeUnauthenticated {
		t.Errorf("after an hour: %v", err)
	}
	checkEvents(t, m, made.Key, bootstrapSecret)
}

// checkEvents looks for secrets in the audit events and the log.
func checkEvents(t testing.TB, m *machine, secrets ...string) {
	t.Helper()
	events, err := m.state.Events(t.Context(), "", 100)
	if err != nil || len(events) == 0 {
		t.Errorf("%d events, %v", len(events), err)
	}
	text := m.log.String()
	for _, e := range events {
		text += fmt.Sprintf("%+v %s %s", e, e.Before, e.After)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%.10s… is in the events or the log", s)
		}
	}
	if strings.Contains(text, "sha256:") {
		t.Error("a hash is in the events or the log")
	}
}

func TestBootstrapSuppliedKey(t *testing.T) {
	own, _ := authn.NewSecret(authn.SecretAPIKey)
	robot, _ := authn.NewSecret(authn.SecretRobot)
	for name, c := range map[string]struct {
		key  string
		want management.Code
	}{
		"own format": {own, ""},
		"long":       {strings.Repeat("0123456789abcdef", 4), ""},
		"short":      {strings.Repeat("x", 31), management.CodeInvalid},
		"robot's":    {robot, management.CodeInvalid},
		"broken":     {own[:len(own)-1] + "_", management.CodeInvalid},
		"spaces":     {strings.Repeat("x ", 20), management.CodeInvalid},
		"huge":       {strings.Repeat("x", 300), management.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMachine(t, memstore.New(), machineOptions{secret: bootstrapSecret})
			call := management.BootstrapCall{Secret: bootstrapSecret, Key: c.key, Name: "terraform"}
			made, err := m.Call(t.Context(), stranger(), call)
			if code(err) != c.want {
				t.Fatal(err)
			}
			if err != nil {
				if strings.Contains(err.Error(), c.key) {
					t.Error("the error repeats the key")
				}
				return
			}
			if made.Key != "" || made.Name != "terraform" {
				t.Errorf("%+v", made)
			}
			if who, err := m.manager.KeyCaller(c.key, netip.Addr{}); err != nil || who == nil {
				t.Errorf("the key: %v, %v", who, err)
			}
			if who, _ := m.manager.KeyCaller(c.key+"x", netip.Addr{}); who != nil {
				t.Error("another key is taken for it")
			}
			// The same call again, as of a script that did not get the answer.
			again, err := m.Call(t.Context(), stranger(), call)
			if err != nil || again.ID != made.ID || !again.Expires.Equal(made.Expires) {
				t.Errorf("again: %+v, %v", again, err)
			}
			call.Secret = "wrong"
			if _, err := m.Call(t.Context(), stranger(), call); code(err) != management.CodeUnauthenticated {
				t.Errorf("again, with a wrong secret: %v", err)
			}
			checkEvents(t, m, c.key)
		})
	}
}

func TestBootstrapOfManyGateways(t *testing.T) {
	s := memstore.New()
	machines := make([]*machine, 4)
	for i := range machines {
		machines[i] = startMachine(t, s, machineOptions{secret: bootstrapSecret})
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	results := map[management.Code]int{}
	var keys []string
	for i := range 50 {
		group.Go(func() {
			made, err := machines[i%len(machines)].Call(t.Context(), stranger(), management.BootstrapCall{Secret: bootstrapSecret})
			mu.Lock()
			defer mu.Unlock()
			results[code(err)]++
			if err == nil {
				keys = append(keys, made.Key)
			}
		})
	}
	group.Wait()
	if len(keys) != 1 || results[management.CodeConflict] != 49 {
		t.Fatalf("%v, %d keys", results, len(keys))
	}
	if n := len(machines[0].state.APIKeys.Sorted()); n != 1 {
		t.Errorf("%d keys are stored", n)
	}
}

func TestBootstrapThrottle(t *testing.T) {
	m := startMachine(t, memstore.New(), machineOptions{secret: bootstrapSecret})
	var last error
	for i := range 20 {
		_, last = m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: fmt.Sprint("guess", i)})
	}
	if code(last) != management.CodeBusy || management.AsError(last).RetryAfter <= 0 {
		t.Errorf("after 20 guesses: %v", last)
	}
	if _, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: bootstrapSecret}); err != nil {
		t.Errorf("the right secret: %v", err)
	}
}

func TestBootstrapGeneratedSecret(t *testing.T) {
	s := memstore.New()
	a := startMachine(t, s, machineOptions{})
	secret := read(t, a.secretFile())
	if !strings.Contains(a.log.String(), a.secretFile()) || strings.Contains(a.log.String(), secret) {
		t.Errorf("log: %s", a.log)
	}
	// A start again changes nothing; another gateway takes the same secret.
	again := startMachine(t, s, machineOptions{dir: a.directory})
	if read(t, again.secretFile()) != secret {
		t.Error("the secret changed with a start")
	}
	b := startMachine(t, s, machineOptions{})
	if _, err := os.Stat(b.secretFile()); err == nil {
		t.Error("two gateways have generated a secret each")
	}
	if !strings.Contains(b.log.String(), a.secretFile()) {
		t.Errorf("the other does not say where the secret is: %s", b.log)
	}
	made, err := b.Call(t.Context(), stranger(), management.BootstrapCall{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	// The machine that has the file removes it when it starts.
	eventually(t, "a learns of it", func() bool { return a.Status() != nil })
	startMachine(t, s, machineOptions{dir: a.directory})
	if _, err := os.Stat(a.secretFile()); err == nil {
		t.Error("the secret is still there, although it is used up")
	}
	checkEvents(t, a, secret, made.Key)
}

func TestBootstrapClosedByKeys(t *testing.T) {
	static := startMachine(t, memstore.New(), machineOptions{keys: []string{bootstrapSecret}})
	if err := static.Status(); code(err) != management.CodeNotFound || !strings.Contains(err.Error(), "configuration") {
		t.Errorf("with a static key: %v", err)
	}
	off := startMachine(t, memstore.New(), machineOptions{config: management.BootstrapConfig{Off: true}})
	if _, err := off.Call(t.Context(), management.Local("local", ""), management.BootstrapCall{}); code(err) != management.CodeConflict {
		t.Errorf("off: %v", err)
	}
	if entries, _ := os.ReadDir(off.directory); len(entries) > 0 {
		t.Errorf("files: %v", entries)
	}
}

func TestBootstrapEnds(t *testing.T) {
	m := startMachine(t, memstore.New(), machineOptions{secret: bootstrapSecret})
	made, err := m.Call(t.Context(), stranger(), management.BootstrapCall{Secret: bootstrapSecret})
	if err != nil {
		t.Fatal(err)
	}
	who, err := m.manager.KeyCaller(made.Key, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{"robots:write", "keys:write", "*"} {
		if _, err := m.manager.CreateKey(t.Context(), who, management.KeySettings{Name: "for-" + scope[:1], Scopes: []string{scope}}); err != nil {
			t.Fatal(err)
		}
		if _, alive := m.state.APIKeys.Get(made.ID); alive == (scope == "*") {
			t.Errorf("after a key for %s: alive %v", scope, alive)
		}
	}
	// Without a record of bootstrap, as after an import, the key closes it.
	if err := m.Status(); err == nil {
		t.Error("open again")
	}
}

func TestBootstrapWithoutStore(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	m := startMachine(t, s, machineOptions{secret: bootstrapSecret})
	s.Fail(faultstore.Apply, store.ErrUnavailable)
	call := management.BootstrapCall{Secret: bootstrapSecret, Key: strings.Repeat("0123456789abcdef", 4)}
	_, err := m.Call(t.Context(), stranger(), call)
	if e := management.AsError(err); e.Code != management.CodeUnavailable || e.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	s.Fail(faultstore.Apply, nil)
	s.LoseAcknowledgements(1)
	if _, err = m.Call(t.Context(), stranger(), call); code(err) != management.CodeUnknown {
		t.Errorf("%v", err)
	}
	eventually(t, "the lost write is seen", func() bool { return m.Status() != nil })
	if _, err = m.Call(t.Context(), stranger(), call); err != nil {
		t.Errorf("the same call again: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = newMachine(t, memstore.New(), machineOptions{}).Start(ctx) // must return
}

func TestBootstrapConfig(t *testing.T) {
	for want, c := range map[string]management.BootstrapConfig{
		"it is off":     {Off: true, File: "/x"},
		"one of":        {Secret: "{env.X}", SecretFile: "/x"},
		"ttl":           {TTL: management.Duration(48 * time.Hour)},
		"absolute path": {AdminKeyFile: "key"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// eventually waits for what another gateway has to learn first.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within five seconds", what)
		}
	}
}
