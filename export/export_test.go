package export

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const testBundle = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

func input(change func(*Input)) Input {
	in := Input{
		Registry: "registry.example.com", Realm: "https://registry.example.com/v2/token", Service: "registry.example.com",
		Issuer: "https://registry.example.com", X5C: true,
		CertificatesURL: "https://registry.example.com/v2/token/certificates", JWKSURL: "https://registry.example.com/v2/token/jwks",
		Certificates: []byte(testBundle), JWKS: []byte(`{"keys":[{"kty":"EC"}]}`),
		Username: "robot-ci", Secret: "s3:cret",
	}
	if change != nil {
		change(&in)
	}
	return in
}

func render(t *testing.T, format string, in Input) string {
	t.Helper()
	body, contentType, err := Render(format, in)
	if err != nil {
		t.Fatal(err)
	}
	if contentType == "" || !strings.HasSuffix(string(body), "\n") {
		t.Errorf("%s: type %q, body %q", format, contentType, body)
	}
	return string(body)
}

// same compares a document with what it must be, to the last member.
func same(t *testing.T, text string, want any) {
	t.Helper()
	var got any
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

type object = map[string]any

func TestDistribution(t *testing.T) {
	token := object{
		"realm": "https://registry.example.com/v2/token", "service": "registry.example.com",
		"issuer": "https://registry.example.com", "rootcertbundle": "/etc/registry/gateway.pem",
	}
	same(t, render(t, "distribution", input(nil)), object{"auth": object{"token": token}})
	delete(token, "rootcertbundle")
	token["jwks"] = "/etc/registry/gateway.json"
	same(t, render(t, "distribution", input(func(in *Input) { in.Algorithm = "EdDSA" })), object{"auth": object{"token": token}})

	for want, change := range map[string]func(*Input){
		"# For CNCF Distribution 2.8 and 3.":                nil,
		"# For CNCF Distribution 2.8.":                      func(in *Input) { in.X5C, in.Libtrust = false, true },
		"# For CNCF Distribution 3 (2.8 needs \"x5c\"":      func(in *Input) { in.X5C = false },
		"# For CNCF Distribution 3.":                        func(in *Input) { in.Algorithm = "EdDSA" },
		"curl -fsS https://registry.example.com/v2/token/j": func(in *Input) { in.Algorithm = "EdDSA" },
		"curl -fsS https://registry.example.com/v2/token/c": nil,
	} {
		if text := render(t, "distribution", input(change)); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// What is written into it cannot become more than a value.
	odd := render(t, "distribution", input(func(in *Input) { in.Service = `a": b # {c}` }))
	token["service"] = `a": b # {c}`
	delete(token, "jwks")
	token["rootcertbundle"] = "/etc/registry/gateway.pem"
	same(t, odd, object{"auth": object{"token": token}})
}

func TestEnv(t *testing.T) {
	var got []string
	for line := range strings.Lines(render(t, "env", input(nil))) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	want := []string{
		"REGISTRY_AUTH=token", "REGISTRY_AUTH_TOKEN_REALM=https://registry.example.com/v2/token",
		"REGISTRY_AUTH_TOKEN_SERVICE=registry.example.com", "REGISTRY_AUTH_TOKEN_ISSUER=https://registry.example.com",
		"REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/etc/registry/gateway.pem",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestCompose(t *testing.T) {
	for image, change := range map[string]func(*Input){
		"registry:3": nil, "registry:2.8": func(in *Input) { in.X5C, in.Libtrust = false, true },
	} {
		same(t, render(t, "compose", input(change)), object{
			"services": object{"registry": object{
				"image": image,
				"environment": object{
					"REGISTRY_AUTH": "token", "REGISTRY_AUTH_TOKEN_REALM": "https://registry.example.com/v2/token",
					"REGISTRY_AUTH_TOKEN_SERVICE": "registry.example.com", "REGISTRY_AUTH_TOKEN_ISSUER": "https://registry.example.com",
					"REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": "/etc/registry/gateway.pem",
				},
				"configs": []any{object{"source": "gateway-keys", "target": "/etc/registry/gateway.pem"}},
				"volumes": []any{"registry:/var/lib/registry"},
			}},
			"configs": object{"gateway-keys": object{"file": "./gateway.pem"}},
			"volumes": object{"registry": object{}},
		})
	}
}

func TestZot(t *testing.T) {
	same(t, render(t, "zot", input(nil)), object{"http": object{"auth": object{"bearer": object{
		"realm": "https://registry.example.com/v2/token", "service": "registry.example.com", "cert": "/etc/zot/gateway.pem",
	}}}})
	if _, _, err := Render("zot", input(func(in *Input) { in.Algorithm = "EdDSA" })); !errors.Is(err, ErrNotPossible) {
		t.Errorf("EdDSA: %v", err)
	}
}

func TestDockerConfig(t *testing.T) {
	text := render(t, "docker-config", input(nil))
	var config struct {
		Auths map[string]struct{ Auth []byte }
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if got := string(config.Auths["registry.example.com"].Auth); got != "robot-ci:s3:cret" || len(config.Auths) != 1 {
		t.Errorf("%s", text)
	}
}

// secretManifest is a Secret with nothing that Kubernetes does not know.
type secretManifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Type       string            `yaml:"type"`
	StringData map[string]string `yaml:"stringData"`
}

func TestKubernetes(t *testing.T) {
	decoder := yaml.NewDecoder(strings.NewReader(render(t, "kubernetes", input(nil))))
	decoder.KnownFields(true)
	types := map[string]string{}
	data := map[string]string{}
	for {
		var s secretManifest
		if err := decoder.Decode(&s); err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			break
		}
		if s.APIVersion != "v1" || s.Kind != "Secret" || len(s.StringData) == 0 {
			t.Errorf("%+v", s)
		}
		types[s.Metadata.Name] = s.Type
		for k, v := range s.StringData {
			data[k] = v
		}
	}
	if want := map[string]string{"registry-token-auth": "Opaque", "registry-token-keys": "Opaque", "registry-login": "kubernetes.io/dockerconfigjson"}; !reflect.DeepEqual(types, want) {
		t.Errorf("%v", types)
	}
	if data["gateway.pem"] != testBundle || !json.Valid([]byte(data["gateway.json"])) || data["REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE"] != "/etc/registry/gateway.pem" {
		t.Errorf("%v", data)
	}
	if login := data[".dockerconfigjson"]; !strings.Contains(login, base64.StdEncoding.EncodeToString([]byte("robot-ci:s3:cret"))) {
		t.Errorf("login %s", login)
	}
	if text := render(t, "kubernetes", input(func(in *Input) { in.Username, in.Secret = "", "" })); strings.Contains(text, "dockerconfigjson") {
		t.Errorf("a login of nobody:\n%s", text)
	}
}

func TestRenderErrors(t *testing.T) {
	for name, test := range map[string]struct {
		format string
		change func(*Input)
		want   error
	}{
		"unknown format":       {"nomad", nil, ErrFormat},
		"no realm":             {"env", func(in *Input) { in.Realm = "" }, ErrIncomplete},
		"no service":           {"zot", func(in *Input) { in.Service = "" }, ErrIncomplete},
		"a second line":        {"env", func(in *Input) { in.Service = "a\nREGISTRY_AUTH=none" }, ErrIncomplete},
		"no login":             {"docker-config", func(in *Input) { in.Secret = "" }, ErrIncomplete},
		"colon in a user name": {"docker-config", func(in *Input) { in.Username = "a:b" }, ErrIncomplete},
		"half a login":         {"kubernetes", func(in *Input) { in.Secret = "" }, ErrIncomplete},
		"no certificates":      {"kubernetes", func(in *Input) { in.Certificates = nil }, ErrIncomplete},
		"a page of errors":     {"certificates", func(in *Input) { in.Certificates = []byte("<html>") }, ErrIncomplete},
		"no keys":              {"jwks", func(in *Input) { in.JWKS = []byte(`{"keys":[]}`) }, ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			body, _, err := Render(test.format, input(test.change))
			if !errors.Is(err, test.want) || body != nil {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	for _, format := range []string{"certificates", "jwks"} {
		render(t, format, input(nil))
	}
}
