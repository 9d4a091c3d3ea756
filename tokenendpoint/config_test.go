package tokenendpoint

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

func TestConfigDefaults(t *testing.T) {
	var c Config
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if p := c.TokenPaths(); len(p) != 1 || p[0] != DefaultPath || c.KeysPath() != DefaultJWKSPath || c.BundlePath() != DefaultCertificatesPath {
		t.Errorf("%q %q %q", p, c.KeysPath(), c.BundlePath())
	}
	if k := c.KeyConfig(nil); !reflect.DeepEqual(k, keys.Config{Lifetime: 5 * time.Minute, Grace: time.Hour}) {
		t.Errorf("what nobody configures is the ring's to say: %+v", k)
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
