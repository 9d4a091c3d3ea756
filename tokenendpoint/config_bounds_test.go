package tokenendpoint

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestConfigBounds: what is just within the bounds is taken, and what is just
// outside is refused by name.
func TestConfigBounds(t *testing.T) {
	for document, want := range map[string]string{
		`{"lifetime":"10s"}`: "", `{"lifetime":"24h"}`: "",
		`{"upload_grace":"24h"}`: "", `{"upload_grace":"24h1s"}`: "upload_grace", `{"upload_grace":"-1s"}`: "",
		`{"url":"https://auth.example.com"}`: "", `{"url":"http://auth.example.com/token"}`: "",
		`{"url":"https:///token"}`: "url", `{"url":"https://%zz/"}`: "url", `{"url":"https://x/#a"}`: "url", `{"url":"auth.example.com"}`: "url",
		`{"refresh_tokens":"on"}`: "", `{"refresh_tokens":"off"}`: "", `{"refresh_tokens":"yes"}`: "refresh_tokens",
		`{"refresh_token_rotation":"on"}`: "", `{"refresh_token_rotation":"x"}`: "refresh_token_rotation",
		`{"refresh_token_client":"any"}`: "", `{"refresh_token_client":"same"}`: "", `{"refresh_token_client":"x"}`: "refresh_token_client",
		`{"refresh_token_lifetime":"1m"}`: "", `{"refresh_token_lifetime":"59s"}`: "refresh_token_lifetime",
		`{"refresh_token_lifetime":"366d"}`: "", `{"refresh_token_lifetime":"367d"}`: "refresh_token_lifetime",
		`{"refresh_token_idle":"1m"}`: "", `{"refresh_token_idle":"59s"}`: "refresh_token_idle", `{"refresh_token_idle":"-1s"}`: "",
		`{"keycloak":["a","b"]}`: "", `{"keycloak":["a","a"]}`: "given twice", `{"keycloak":[""]}`: "keycloak", `{"keycloak":["a/b"]}`: "keycloak",
		`{"keycloak":["a b"]}`: "keycloak", `{"keycloak":["."]}`: "keycloak",
	} {
		var c Config
		if err := json.Unmarshal([]byte(document), &c); err != nil {
			t.Errorf("%s: %v", document, err)
			continue
		}
		if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", document, err, want)
		}
	}
}

// TestRefreshTokenSettings: refresh tokens are off by default, and never rest
// longer than they last.
func TestRefreshTokenSettings(t *testing.T) {
	for name, test := range map[string]struct {
		config         Config
		has            bool
		lifetime, idle time.Duration
	}{
		"default":       {Config{}, false, DefaultRefreshTokenLifetime, DefaultRefreshTokenIdle},
		"on":            {Config{RefreshTokens: On}, true, DefaultRefreshTokenLifetime, DefaultRefreshTokenIdle},
		"off":           {Config{RefreshTokens: Off}, false, DefaultRefreshTokenLifetime, DefaultRefreshTokenIdle},
		"short":         {Config{RefreshTokenLifetime: Duration(time.Hour)}, false, time.Hour, time.Hour},
		"with idle":     {Config{RefreshTokenIdle: Duration(time.Hour)}, false, DefaultRefreshTokenLifetime, time.Hour},
		"no idle limit": {Config{RefreshTokenIdle: -1}, false, DefaultRefreshTokenLifetime, 0},
	} {
		c := test.config
		if c.HasRefreshTokens() != test.has || c.RefreshLifetime() != test.lifetime || c.RefreshIdle() != test.idle {
			t.Errorf("%s: %v %s %s", name, c.HasRefreshTokens(), c.RefreshLifetime(), c.RefreshIdle())
		}
	}
}
