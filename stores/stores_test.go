package stores

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

func TestStoresInCaddyfile(t *testing.T) {
	tests := []struct{ text, want string }{
		{"bolt", `{}`},
		{"bolt /srv/state.db", `{"path":"/srv/state.db"}`},
		{"bolt a b", "wrong argument count"},
		{"bolt {\npath x\n}", `unrecognized subdirective "path" of bolt`},
		{"bolt /srv/state.db {\nbackup {\nevery 6h\nkeep 28\nto /srv/copies\n}\n}", `{"path":"/srv/state.db","backup":{"every":21600000000000,"keep":28,"to":"/srv/copies"}}`},
		{"bolt {\nbackup {\nto /srv/copies\n}\n}", `{"backup":{"to":"/srv/copies"}}`},
		{"bolt {\nbackup {\nkeep 3\n}\n}", "backup: to is missing"},
		{"bolt {\nbackup {\nto a\n}\nbackup {\nto b\n}\n}", "backup already specified"},
		{"bolt {\nbackup /srv\n}", "wrong argument count"},
		{"bolt {\nbackup {\nto a\nkeep 0\n}\n}", `keep: "0" is not a number`},
		{"bolt {\nbackup {\nto a\nevery often\n}\n}", `every: "often" is not a duration`},
		{"postgres {env.DSN}", `{"dsn":"{env.DSN}"}`},
		{"postgres {env.DSN} {\nschema state\nmax_conns 8\n}", `{"dsn":"{env.DSN}","schema":"state","max_conns":8}`},
		{"postgres", "wrong argument count"},
		{"postgres a b", "wrong argument count"},
		{"postgres a {\nschema\n}", "wrong argument count"},
		{"postgres a {\nschema b c\n}", "wrong argument count"},
		{"postgres a {\nschema b\nschema c\n}", "schema already specified"},
		{"postgres a {\nmax_conns none\n}", `max_conns: "none" is not a number`},
		{"postgres a {\nmax_conns 0\n}", `max_conns: "0" is not a number`},
		{"postgres a {\npassword x\n}", `unrecognized subdirective "password" of postgres`},
	}
	for _, tt := range tests {
		d := caddycf.NewTestDispenser(tt.text)
		name, _, _ := strings.Cut(tt.text, " ")
		name, _, _ = strings.Cut(name, "\n")
		module, err := caddy.GetModule(caddyfile.StoreNamespace + "." + name)
		if err != nil {
			t.Fatal(err)
		}
		v := module.New()
		if err := v.(caddycf.Unmarshaler).UnmarshalCaddyfile(d); err != nil {
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
			}
			continue
		}
		if got, err := json.Marshal(v); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestBoltStore(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	t.Setenv("STATE", filepath.Join(dir, "other", "state.db"))
	for path, want := range map[string]string{
		"":            filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db"),
		"{env.STATE}": os.Getenv("STATE"),
		filepath.Join(dir, "x", "..", "third", "state.db"): filepath.Join(dir, "third", "state.db"),
	} {
		b := Bolt{Path: path}
		if err := b.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if b.StoreKey() != "bolt:"+want {
			t.Errorf("%q: key %s, want %s", path, b.StoreKey(), want)
		}
		if _, err := os.Stat(filepath.Dir(want)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: made before it was opened", path)
		}
		wantWorks(t, &b)
		if info, err := os.Stat(want); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v %v", path, info, err)
		}
	}
	if err := (&Bolt{Path: "{env.NO_SUCH_VARIABLE}"}).Provision(caddy.Context{}); err == nil {
		t.Error("an empty path")
	}
}

func wantWorks(t *testing.T, o store.Opener) {
	t.Helper()
	s, err := o.OpenStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := s.Apply(t.Context(), "default", []store.Change{{Key: store.Key{Kind: "robot", ID: "a"}, Data: []byte("1")}})
	if err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
}

func TestPostgresStore(t *testing.T) {
	const password = "s3cr3t-p4ss"
	t.Setenv("DSN", "postgres://u:"+password+"@127.0.0.1:1/db")
	t.Setenv("BAD_DSN", "postgres://u:"+password+"@127.0.0.1:port/db")
	good := Postgres{DSN: "{env.DSN}"}
	if err := good.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(good)
	if err != nil || strings.Contains(string(config), password) {
		t.Errorf("%s %v", config, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := good.OpenStore(ctx); !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), password) {
		t.Errorf("open: %v", err)
	}
	keys := map[string]bool{}
	for _, p := range []Postgres{good, {DSN: "{env.DSN}", Schema: "s"}, {DSN: "{env.DSN}", MaxConns: 2}, {DSN: "host=h"}} {
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.StoreKey(), password) {
			t.Errorf("key %s", p.StoreKey())
		}
		keys[p.StoreKey()] = true
	}
	if len(keys) != 4 || !keys[good.StoreKey()] {
		t.Errorf("keys %v", keys)
	}
	for _, p := range []Postgres{{}, {DSN: "{env.NO_SUCH_VARIABLE}"}, {DSN: "{env.BAD_DSN}"}, {DSN: "host=h", MaxConns: -1}} {
		if err := p.Provision(caddy.Context{}); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", p.DSN, err)
		}
	}
}

// TestBoltBackup: a schedule has defaults, and one that would be lost with the
// store, or cannot be kept, is refused.
func TestBoltBackup(t *testing.T) {
	dir := t.TempDir()
	good := Bolt{Path: filepath.Join(dir, "state.db"), Backup: &Backup{To: filepath.Join(dir, "copies")}}
	if err := good.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if good.schedule.Every != 24*time.Hour || good.schedule.Keep != 7 || good.schedule.To != filepath.Join(dir, "copies") {
		t.Errorf("%+v", good.schedule)
	}
	plain := Bolt{Path: good.Path}
	if err := plain.Provision(caddy.Context{}); err != nil || plain.StoreKey() != good.StoreKey() {
		t.Errorf("another schedule is another store: %v", err)
	}
	for want, b := range map[string]Backup{
		"the folder of the store itself": {To: dir},
		"every":                          {To: "/x", Every: caddy.Duration(time.Second)},
		"keep":                           {To: "/x", Keep: -1},
		"backup: to":                     {To: "{env.NO_SUCH_VARIABLE}"},
	} {
		if err := (&Bolt{Path: good.Path, Backup: &b}).Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", b, err, want)
		}
	}
}
