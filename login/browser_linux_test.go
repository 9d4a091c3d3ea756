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
		"a page":     {":1", "HERE/auth/device?user_code=BCDF-GHJK", true},
		"no display": {"", "HERE/auth/device?user_code=BCDF-GHJK", false},
		"elsewhere":  {":1", "https://registry.example.com/auth/device?user_code=BCDF-GHJK", false},
		"a file":     {":1", "file:///etc/passwd", false},
		"a script":   {":1", "javascript:alert(1)", false},
		"an option":  {":1", "--help", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DISPLAY", test.display)
			t.Setenv("WAYLAND_DISPLAY", "")
			t.Setenv("BROWSER", "")
			_ = os.Remove(opened)
			page := func(r *http.Request) string { return strings.Replace(test.page, "HERE", "http://"+r.Host, 1) }
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path == "/auth/device/code" {
					_ = json.NewEncoder(w).Encode(map[string]any{
						"device_code": "dc", "user_code": "BCDF-GHJK", "verification_uri": page(r), "verification_uri_complete": page(r), "expires_in": 60, "interval": 1,
					})
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "crait_x", "issued_token_type": refreshType, "username": "alice"})
			}))
			t.Cleanup(s.Close)
			_, err := Login(t.Context(), Options{Registry: s.URL, ClientID: "test", Browser: OpenBrowser, Out: new(strings.Builder)})
			if own := strings.HasPrefix(test.page, "HERE"); own != (err == nil) {
				t.Fatal(err)
			}
			wait := 300 * time.Millisecond
			if test.want {
				wait = 10 * time.Second
			}
			var shown []byte
			for end := time.Now().Add(wait); time.Now().Before(end) && len(shown) == 0; time.Sleep(10 * time.Millisecond) {
				shown, _ = os.ReadFile(opened) // nothing yet
			}
			if got := strings.TrimSpace(string(shown)); (got == strings.Replace(test.page, "HERE", s.URL, 1)) != test.want || !test.want && got != "" {
				t.Errorf("opened %q, want %t", got, test.want)
			}
		})
	}
}
