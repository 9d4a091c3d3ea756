package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// TestKeys shows a key in each of the ways.
func TestKeys(t *testing.T) {
	s := newStage(t)
	file := filepath.Join(s.dir, "key")
	must(t, os.WriteFile(file, []byte("\t"+adminKey+"\nmore\n"), 0o600))
	remote := "robot list --address https://registry.example.com"
	if _, err, status := s.run(fields(remote)...); status != StatusUsage || !strings.Contains(err, envKey) {
		t.Errorf("without: %d %s", status, err)
	}
	s.ok(remote + " --key-file " + file)
	s.stdin = adminKey + "\n"
	s.ok(remote + " --key -")
	s.env[envKey] = adminKey
	s.ok(remote)
	s.env[envAddress] = s.gateway.URL
	s.ok("robot list")
	s.env[envKey] = "wrong-" + adminKey
	if out, err, status := s.run("robot", "list"); status != StatusRefused || strings.Contains(out+err, adminKey) {
		t.Errorf("%d %s %s", status, out, err)
	}
	for _, args := range []string{"robot list --key - --key-file " + file, "robot create x --key - --secret-file -", "import - --key -", "key create x --scope robots:write --key " + adminKey} {
		if out, err, status := s.run(fields(args)...); status != StatusUsage || strings.Contains(out+err, adminKey) {
			t.Errorf("%s: %d %s %s", args, status, out, err)
		}
	}
}

// TestSecretIsAlone: with --quiet nothing but the secret is printed, and what
// is read is not printed at all.
func TestSecretIsAlone(t *testing.T) {
	s := newStage(t)
	for _, line := range []string{"robot create ci -q", "robot rotate ci -q", "key create k --scope * -q"} {
		out, err, _ := s.run(fields(line)...)
		if _, parsed := authn.ParseSecret(strings.TrimSuffix(out, "\n")); parsed != nil || err != "" {
			t.Errorf("%s: %q %q", line, out, err)
		}
	}
	s.stdin = "A-Chosen-Secret-1\n"
	out, err, status := s.run(fields("robot create chosen --secret-file -")...)
	if status != 0 || strings.Contains(out+err, "A-Chosen") || strings.Contains(err, "only time") {
		t.Errorf("%d %s%s", status, out, err)
	}
	// Made again, it is left as it is; with --json there is no other text.
	if out := s.ok("robot create chosen --replace --json"); !strings.HasPrefix(out, "{") || strings.Contains(out, `"secret":`) {
		t.Error(out)
	}
	_, hash := authn.NewSecret(authn.SecretRobot)
	s.ok("robot create hashed --secret-hash " + hash)
	if _, _, status := s.run("robot", "create", "both", "--secret-hash", hash, "--secret-file", "-"); status != StatusUsage {
		t.Error(status)
	}
}

// TestBootstrapElsewhere shows the secret that was generated.
func TestBootstrapElsewhere(t *testing.T) {
	s := newStage(t)
	s.stdin = "wrong\n"
	if _, err, status := s.run(fields("bootstrap --secret-file - --address https://registry.example.com")...); status != StatusRefused {
		t.Errorf("%d %s", status, err)
	}
	if _, err, status := s.run(fields("bootstrap --key-file x --address https://registry.example.com")...); status != StatusUsage {
		t.Errorf("%d %s", status, err)
	}
	// Who is not on the machine cannot reset it, by no way.
	if _, err, status := s.run(fields("bootstrap --reset --address https://registry.example.com")...); status != StatusUsage {
		t.Errorf("%d %s", status, err)
	}
}

func TestCompletion(t *testing.T) {
	s := newStage(t)
	s.ok("robot create team-a+ci")
	s.ok("robot create team-a+deploy")
	s.ok("project create team-a")
	for line, want := range map[string]string{
		"robot show ":                       "backup team-a+ci team-a+deploy",
		"robot rotate team-a+d":             "team-a+deploy",
		"robot show team-a+ci ":             "",
		"robot list --project ":             "base team-a",
		"user disable a":                    "alice",
		"project show ":                     "base team-a",
		"robot show --address localhost:1 ": "",
		"robot show --key - --address https://registry.example.com ": "",
	} {
		words := append([]string{cobra.ShellCompNoDescRequestCmd}, fields(line)...)
		if strings.HasSuffix(line, " ") {
			words = append(words, "")
		}
		out, _, _ := s.run(words...)
		got := strings.Join(strings.Fields(out[:strings.LastIndex(out, ":")]), " ")
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestPlain: names come from identity providers and agents from clients; a
// terminal does not obey them.
func TestPlain(t *testing.T) {
	if got := terminal.Text("a\x1b[31mred\x07\u202eb\tc\nd"); got != "a?[31mred??b?c\nd" {
		t.Errorf("%q", got)
	}
}
