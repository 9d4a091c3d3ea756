package tokenendpoint

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	var c Config
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if p := c.TokenPaths(); len(p) != 1 || p[0] != DefaultPath || c.KeysPath() != DefaultJWKSPath || c.BundlePath() != DefaultCertificatesPath {
		t.Errorf("%q %q %q", p, c.KeysPath(), c.BundlePath())
	}
	k, err := c.KeyConfig(nil).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if k.Algorithm != ES256 || k.KeyID != KeyIDThumbprint || k.X5C || k.RotateEvery != 90*24*time.Hour || k.Lifetime != 5*time.Minute {
		t.Errorf("%+v", k)
	}
	if raw, err := json.Marshal(c); err != nil || string(raw) != "{}" {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for document, want := range map[string]string{
		`{"lifetime":"9s"}`:                           "lifetime 9s",
		`{"lifetime":"25h"}`:                          "lifetime 25h",
		`{"algorithm":"none"}`:                        "algorithm",
		`{"key_id":"x"}`:                              "key id format",
		`{"service_aliases":["a",""]}`:                "service_alias",
		`{"url":"ftp://x/"}`:                          "url",
		`{"url":"https://u:p@x/"}`:                    "url",
		`{"url":"https://x/?a=b"}`:                    "url",
		`{"paths":["x"]}`:                             "path",
		`{"paths":["/"]}`:                             "path",
		`{"paths":["/a/"]}`:                           "path",
		`{"paths":["/a b"]}`:                          "path",
		`{"paths":["/v2/token/jwks"]}`:                "used twice",
		`{"jwks_path":"/a","certificates_path":"/a"}`: "used twice",
		`{"rotate_every":"1h"}`:                       "rotating",
	} {
		var c Config
		if err := json.Unmarshal([]byte(document), &c); err != nil {
			t.Errorf("%s: %v", document, err)
			continue
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", document, err, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"5m"`: 5 * time.Minute, `"90d"`: 90 * 24 * time.Hour, `"36h30m"`: 36*time.Hour + 30*time.Minute,
		`300000000000`: 5 * time.Minute, `-1`: -1, `"-1ns"`: -1,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %s, %v", text, d, err)
		}
		var again Duration
		if raw, err := json.Marshal(d); err != nil || json.Unmarshal(raw, &again) != nil || again != d {
			t.Errorf("%s comes back as %s", d, again)
		}
	}
	for _, text := range []string{`"d"`, `"1.5d"`, `"-1d"`, `"5"`, `""`, `"999999999d"`, `1.5`, `{}`, `true`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %s", text, d)
		}
	}
}
