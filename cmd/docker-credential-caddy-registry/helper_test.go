package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

func call(t *testing.T, v vault, verb, in string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := serve(t.Context(), v, verb, strings.NewReader(in), &out)
	return out.String(), err
}

// protocol is what docker does with every vault.
func protocol(t *testing.T, v vault, lists bool) {
	if _, err := call(t, v, "get", "r.test"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("get of nothing: %v", err)
	}
	if _, err := call(t, v, "store", `{"ServerURL":"https://r.test/","Username":"<token>","Secret":"crait_\"x\n"}`); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"r.test", "https://r.test", "r.test\n"} {
		out, err := call(t, v, "get", server)
		if err != nil || !strings.Contains(out, `"Secret":"crait_\"x\n"`) || !strings.Contains(out, `token`) {
			t.Errorf("get %q: %v %s", server, err, out)
		}
	}
	if out, err := call(t, v, "list", ""); err != nil || lists && !strings.Contains(out, `"r.test"`) || strings.Contains(out, "crait_") {
		t.Errorf("list: %v %s", err, out)
	}
	if _, err := call(t, v, "erase", "r.test"); err != nil {
		t.Error(err)
	}
	if _, err := call(t, v, "erase", "r.test"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("erase of nothing: %v", err)
	}
}

func TestFile(t *testing.T) {
	v := fileVault{filepath.Join(t.TempDir(), "a", "credentials.json")}
	protocol(t, v, true)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := v.Store(t.Context(), login.Stored{ServerURL: fmt.Sprintf("r%d.test", i), Username: "u"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := v.List(t.Context())
	info, _ := os.Stat(v.path)
	if err != nil || len(list) != 20 || info.Mode().Perm() != 0o600 {
		t.Errorf("%d entries, %v, %v", len(list), info.Mode(), err)
	}
}

// TestPrograms drives programs that behave as those of the operating systems.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("KEPT", filepath.Join(dir, "kept"))
	for name, script := range map[string]string{
		"secret-tool": `case $1 in
store) cat > $KEPT;;
lookup) cat $KEPT 2>/dev/null || exit 1;;
clear) rm $KEPT;;
search) [ -f $KEPT ] && { echo '[/1]'; printf 'secret = '; cat $KEPT; echo; };;
esac`,
		"security": `case $1 in
-i) read -r line; echo "${line##* -w }" > $KEPT;;
find-generic-password) cat $KEPT 2>/dev/null || exit 44;;
delete-generic-password) rm $KEPT;;
esac`,
		"docker-credential-other": `case $1 in
store) cat > $KEPT;;
get) cat $KEPT 2>/dev/null || { echo '` + login.NotFound + `'; exit 1; };;
erase) rm $KEPT 2>/dev/null || { echo '` + login.NotFound + `'; exit 1; };;
list) echo '{"r.test":"u"}';;
esac`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("secret service", func(t *testing.T) { protocol(t, secretService{}, true) })
	t.Run("keychain", func(t *testing.T) { protocol(t, keychain{}, false) })
	t.Run("another helper", func(t *testing.T) { protocol(t, helperVault("other"), true) })
	file := fileVault{filepath.Join(dir, "credentials.json")}
	t.Run("both", func(t *testing.T) { protocol(t, layered{secretService{}, file}, true) })
	t.Run("store away", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "secret-tool"), []byte("#!/bin/sh\nexit 7\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		v := layered{secretService{}, file}
		if _, err := call(t, v, "store", `{"ServerURL":"r.test","Username":"u","Secret":"s"}`); err != nil {
			t.Fatal(err)
		}
		if out, err := call(t, v, "get", "r.test"); err != nil || !strings.Contains(out, `"s"`) {
			t.Error(out, err)
		}
	})
}

func TestBadInput(t *testing.T) {
	v := fileVault{filepath.Join(t.TempDir(), "credentials.json")}
	for _, c := range [][2]string{{"store", "{"}, {"store", `{"ServerURL":"r.test"}`}, {"get", " \n"}, {"erase", ""}, {"get", strings.Repeat("x", maxInput+1)}} {
		if out, err := call(t, v, c[0], c[1]); err == nil || out != "" {
			t.Errorf("%s %.20q: %q, %v", c[0], c[1], out, err)
		}
	}
	if err := os.WriteFile(v.path, []byte(`{"r.test":"secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, v, "get", "r.test"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}
