package registryauth_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// exportConfig runs the command with a configuration.
func exportConfig(t *testing.T, caddyfile, stdin string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := &cobra.Command{Use: "registry-auth", SilenceUsage: true}
	caddycmd.Commands()[cmd.Use].CobraFunc(cmd)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append([]string{"export-config", "--config", file}, args...))
	err := cmd.Execute()
	return out.String(), err
}

func TestExportConfigCommand(t *testing.T) {
	g := startGateway(t, standardRealm)
	realm := strings.Replace(strings.ReplaceAll(standardRealm, "HASH", g.hash), "http://registry.test", g.url, 1)
	g.load(realm)
	site := g.caddyfile(realm)
	secret, _ := authn.NewSecret(authn.SecretRobot)

	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"distribution": {[]string{"--for", "distribution"}, []string{
			`realm: "` + g.url + `/v2/token"`, `issuer: "` + g.url + `"`, `service: "` + strings.TrimPrefix(g.url, "http://") + `"`,
			"curl -fsS " + g.url + "/v2/token/certificates", "2.8 needs",
		}},
		"env":           {[]string{"--for", "env"}, []string{"REGISTRY_AUTH_TOKEN_REALM=" + g.url + "/v2/token\n"}},
		"kubernetes":    {[]string{"--for", "kubernetes"}, []string{"BEGIN CERTIFICATE", `\"kty\":\"EC\"`, "registry-token-auth"}},
		"jwks":          {[]string{"--for", "jwks"}, []string{`{"keys":[{"kty":"EC"`}},
		"certificates":  {[]string{"--for", "certificates"}, []string{"-----BEGIN CERTIFICATE-----\n"}},
		"docker-config": {[]string{"--for", "docker-config", "--user", "robot-ci"}, []string{`"` + strings.TrimPrefix(g.url, "http://") + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exportConfig(t, site, secret+"\n", test.args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}

	variant := func(old, replacement string) string { return strings.Replace(site, old, replacement, 1) }
	for name, test := range map[string]struct {
		caddyfile, want string
		args            []string
	}{
		"no format":       {site, "want one of distribution", nil},
		"unknown format":  {site, "want one of distribution", []string{"--for", "nomad"}},
		"no user":         {site, "--user is missing", []string{"--for", "docker-config"}},
		"no public URL":   {variant("public_url "+g.url, ""), "public_url is missing", []string{"--for", "env"}},
		"gateway is away": {variant("public_url "+g.url, "public_url http://127.0.0.1:1"), "is it running?", []string{"--for", "jwks"}},
		"no such file":    {site, "no-such-file", []string{"--for", "jwks", "--certificates", "no-such-file"}},
		"unknown realm":   {site, "unknown realm", []string{"--for", "env", "--realm", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exportConfig(t, test.caddyfile, secret, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(out, "REGISTRY_AUTH=") {
				t.Errorf("%v, want %q; printed %q", err, test.want, out)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the secret is in the error")
			}
		})
	}
}
