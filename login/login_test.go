package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gateway answers device logins with a list of answers, one after another.
func gateway(t *testing.T, answers ...map[string]any) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/auth/device/code" {
			_ = json.NewEncoder(w).Encode(map[string]any{
				"device_code": "dc", "user_code": "BCDF-\x1b[2JGHJK", "verification_uri": "http://" + r.Host + "/auth/device", "expires_in": 60, "interval": 1,
			})
			return
		}
		if r.PostFormValue("device_code") != "dc" || r.PostFormValue("client_id") != "test" {
			t.Errorf("asked with %v", r.PostForm)
		}
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		if answer["error"] != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestLogin(t *testing.T) {
	identity := map[string]any{"access_token": "crait_x", "issued_token_type": refreshType, "username": "alice"}
	for name, test := range map[string]struct {
		answers []map[string]any
		want    error
	}{
		"let in":    {[]map[string]any{{"error": "authorization_pending"}, identity}, nil},
		"refused":   {[]map[string]any{{"error": "access_denied"}}, ErrRefused},
		"too late":  {[]map[string]any{{"error": "expired_token"}}, ErrTooLate},
		"something": {[]map[string]any{{"error": "invalid_grant", "error_description": "no"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gateway(t, test.answers...)
			var out strings.Builder
			got, err := Login(t.Context(), Options{Registry: s.URL, ClientID: "test", Out: &out})
			switch {
			case test.want != nil || name == "something":
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
			case err != nil || got.Secret != "crait_x" || !got.Identity || got.Username != "alice" || got.Registry != strings.TrimPrefix(s.URL, "http://"):
				t.Errorf("%+v, %v", got, err)
			}
			if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "BCDF-") {
				t.Errorf("%q", out.String())
			}
		})
	}
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		s := gateway(t, map[string]any{"error": "authorization_pending"})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Login(ctx, Options{Registry: s.URL, ClientID: "test"}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestAddress(t *testing.T) {
	for _, bad := range []string{"", "http://registry.example.com", "ftp://r.test", "https://u:p@r.test", "https://r.test/path", "https://r.test?x=1"} {
		if base, _, err := address(t.Context(), bad); err == nil {
			t.Errorf("%q became %q", bad, base)
		}
	}
	for in, want := range map[string]string{"registry.example.com": "https://registry.example.com", "https://r.test:5000/": "https://r.test:5000", "http://localhost:5000": "http://localhost:5000"} {
		if base, _, err := address(t.Context(), in); err != nil || base != want {
			t.Errorf("%q became %q, %v", in, base, err)
		}
	}
}

// TestPageIsTheRegistrysOwn: a registry cannot send people to the approval page
// of another one.
func TestPageIsTheRegistrysOwn(t *testing.T) {
	for page, want := range map[string]bool{
		"https://r.test/auth/device?user_code=BCDF-GHJK": true, "https://R.test/x": true,
		"https://other.test/auth/device": false, "http://r.test/x": false, "https://r.test:444/x": false, "https://u@r.test/x": false,
		"https://r.test.evil.test/x": false, "http://127.0.0.1/x": false, "file:///etc/passwd": false, "javascript:x": false, "--help": false, "": false,
		"https://r.test/\x1b[2J": false, "//r.test/x": false, "https:r.test/x": false,
	} {
		if got := checkPage(page, "https://r.test/auth/"); (got == nil) != want {
			t.Errorf("%q: %v", page, got)
		}
	}
}

// TestWhatIsKept: what a server calls its user goes into files and programs
// that read it in their own ways.
func TestWhatIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	for name, k := range map[string]Credential{
		"escape sequences": {Username: "alice\x1b[2J", Secret: "crait_x"}, "lines": {Username: "a\nb", Secret: "crait_x"}, "a password": {Username: "a:b", Secret: "crait_x"},
		"nobody": {Username: "", Secret: "crait_x"}, "another kind": {Username: "<token>", Secret: "crait_x"}, "blanks": {Username: " a", Secret: "crait_x"},
		"long": {Username: strings.Repeat("a", 300), Secret: "crait_x"}, "writing direction": {Username: "\u202ealice", Secret: "crait_x"},
		"a command": {Username: "alice", Secret: "x\nadd-generic-password"}, "no secret": {Username: "alice"},
	} {
		k.Registry = "r.test"
		if _, err := Keep(t.Context(), path, &k); err == nil {
			t.Errorf("%s: kept", name)
		}
		s := gateway(t, map[string]any{"access_token": k.Secret, "username": k.Username})
		if got, err := Login(t.Context(), Options{Registry: s.URL, ClientID: "test"}); err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("%s: %+v, %q", name, got, err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
}

// TestDockerConfig: what somebody else has written there stays.
func TestDockerConfig(t *testing.T) {
	dir := t.TempDir()
	real, path := filepath.Join(dir, "real.json"), filepath.Join(dir, "docker", "config.json")
	const before = `{"auths":{"other.test":{"auth":"eA=="}},"psFormat":"x","credHelpers":{"gcr.io":"gcloud"},"features":{"a":"b"}}`
	if err := errors.Join(os.WriteFile(real, []byte(before), 0o644), os.Mkdir(filepath.Dir(path), 0o700), os.Symlink(real, path)); err != nil {
		t.Fatal(err)
	}
	k := &Credential{Registry: "r.test", Username: "alice", Secret: "crait_x", Identity: true}
	if where, err := Keep(t.Context(), path, k); err != nil || where != path {
		t.Fatal(where, err)
	}
	data, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"psFormat": "x"`, `"gcr.io": "gcloud"`, `"other.test"`, `"identitytoken": "crait_x"`, `"auth": "YWxpY2U6"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is missing in %s", want, data)
		}
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	c, err := OpenDockerConfig(path)
	if err != nil || c.Helper("gcr.io") != "gcloud" || c.Helper("r.test") != "" {
		t.Fatal(err)
	}
	if token, known := c.Get("r.test"); !known || token != "crait_x" {
		t.Error(token, known)
	}
	if removed, err := c.Remove("r.test"); !removed || err != nil {
		t.Error(removed, err)
	}
	if err := os.WriteFile(real, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Keep(t.Context(), path, k); err == nil {
		t.Error("a file that is no JSON was overwritten")
	}
}

// TestHelper gives the credential to the helper that docker uses.
func TestHelper(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ncase $1 in store) cat > " + dir + "/kept;; get) [ -f " + dir + "/kept ] && cat " + dir + "/kept || { echo '" + NotFound + "'; exit 1; };; erase) rm " + dir + "/kept;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte(`{"credsStore":"test"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &Credential{Registry: "r.test", Username: "alice", Secret: "crait_x", Identity: true}
	if where, err := Keep(t.Context(), path, k); err != nil || where != "docker-credential-test" {
		t.Fatal(where, err)
	}
	got, err := GetWithHelper(t.Context(), "test", "r.test")
	if err != nil || got.Secret != "crait_x" || got.HelperUser() != "<token>" {
		t.Fatal(got, err)
	}
	there, err := Logout(t.Context(), path, Options{Registry: "https://r.test.invalid"})
	if !there || err == nil || strings.Contains(err.Error(), "crait_x") {
		t.Error(there, err) // the gateway cannot be reached
	}
	if _, err := GetWithHelper(t.Context(), "test", "r.test"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kept"), []byte(`{"ServerURL":"r.test","Username":"","Secret":""}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := GetWithHelper(t.Context(), "test", "r.test"); !errors.Is(err, ErrNotFound) {
		t.Error("an empty secret:", got, err)
	}
	if _, err := CallHelper(t.Context(), "../evil", "get", nil); err == nil {
		t.Error("a path is no name")
	}
}
