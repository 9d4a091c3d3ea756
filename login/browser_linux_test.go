package login

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOpenBrowser opens the page of a login in the browser where there is a
// display, and nothing else that a gateway might name.
func TestOpenBrowser(t *testing.T) {
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	script := "#!/bin/sh\necho \"$1\" > " + opened + ".new && mv " + opened + ".new " + opened + "\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, test := range map[string]struct {
		display, page string
		want          bool
	}{
		"a page":     {":1", "https://registry.example.com/auth/device?user_code=BCDF-GHJK", true},
		"no display": {"", "https://registry.example.com/auth/device?user_code=BCDF-GHJK", false},
		"a file":     {":1", "file:///etc/passwd", false},
		"a script":   {":1", "javascript:alert(1)", false},
		"an option":  {":1", "--help", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DISPLAY", test.display)
			t.Setenv("WAYLAND_DISPLAY", "")
			t.Setenv("BROWSER", "")
			_ = os.Remove(opened)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path == "/auth/device/code" {
					_ = json.NewEncoder(w).Encode(map[string]any{
						"device_code": "dc", "user_code": "BCDF-GHJK", "verification_uri": test.page, "verification_uri_complete": test.page, "expires_in": 60, "interval": 1,
					})
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "crait_x", "issued_token_type": refreshType, "username": "alice"})
			}))
			t.Cleanup(s.Close)
			if _, err := Login(t.Context(), Options{Registry: s.URL, ClientID: "test", Browser: OpenBrowser, Out: new(strings.Builder)}); err != nil {
				t.Fatal(err)
			}
			wait := 300 * time.Millisecond
			if test.want {
				wait = 10 * time.Second
			}
			var page []byte
			for end := time.Now().Add(wait); time.Now().Before(end) && len(page) == 0; time.Sleep(10 * time.Millisecond) {
				page, _ = os.ReadFile(opened) // nothing yet
			}
			if got := strings.TrimSpace(string(page)); (got == test.page) != test.want || !test.want && got != "" {
				t.Errorf("opened %q, want %t", got, test.want)
			}
		})
	}
}
