package cluster

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// The secrets of the documented files; as keys they are long enough.
const (
	documentedSecret = "the-bootstrap-secret-of-the-documents"
	documentedKey    = "the-administrators-key-of-the-documents"
)

// documented returns the first YAML file below a heading of docs/bootstrap.md,
// for this gateway.
func documented(t *testing.T, heading string, n *node) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/bootstrap.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, file, _ := strings.Cut(section, "```yaml\n")
	file, _, ok := strings.Cut(file, "```\n")
	if !ok {
		t.Fatalf("docs/bootstrap.md has no file below %q", heading)
	}
	return strings.ReplaceAll(file, "https://registry.example.com", n.URL)
}

// bootstrapped starts a gateway that waits for its first administrator.
func bootstrapped(t *testing.T) *node {
	t.Helper()
	n := configure(t, "", registry(t).URL, "management {\n bootstrap {\n secret {env.BOOTSTRAP_SECRET}\n }\n }", "BOOTSTRAP_SECRET="+documentedSecret)
	n.launch(t)
	return n
}

// TestAnsible runs the documented playbook, twice as one does.
func TestAnsible(t *testing.T) {
	process.Need(t, "ansible-playbook")
	t.Parallel()
	n := bootstrapped(t)
	s := &script{t: t, dir: t.TempDir(), env: []string{
		"BOOTSTRAP_SECRET=" + documentedSecret, "ANSIBLE_LOCALHOST_WARNING=false", "ANSIBLE_NOCOLOR=1", "LC_ALL=C.UTF-8",
	}}
	if err := os.WriteFile(filepath.Join(s.dir, "site.yml"), []byte(documented(t, "Ansible", n)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("HOME=$PWD ansible-playbook site.yml")
	key := s.run("stat -c %a registry-admin-key; cat registry-admin-key")
	mode, key, _ := strings.Cut(key, "\n")
	if mode != "600" {
		t.Errorf("the key's file has mode %s", mode)
	}
	n.answers(t, "the key that lasts", "Bearer "+key, "/auth/api/v1/robots/web+ci", 200)
	s.env = append(s.env, "REGISTRY_ADMIN_KEY="+key)
	recap := s.run("HOME=$PWD ansible-playbook site.yml")
	if !regexp.MustCompile(`ok=3 .*failed=0 .*skipped=3`).MatchString(recap) {
		t.Errorf("the second run:\n%s", recap)
	}
}

// TestKubernetesJob runs what the documented job's container does, twice.
func TestKubernetesJob(t *testing.T) {
	process.Need(t, "curl")
	t.Parallel()
	n := bootstrapped(t)
	_, lines, ok := strings.Cut(documented(t, "Kubernetes", n), "- |\n")
	if !ok {
		t.Fatal("the job has no script")
	}
	lines = regexp.MustCompile(`(?m)^ {14}`).ReplaceAllString(lines, "")
	s := &script{t: t, dir: t.TempDir(), env: []string{"SECRET=" + documentedSecret, "KEY=" + documentedKey}}
	wait := "until curl -s -o /dev/null -w '%{http_code}' " + n.URL + "/auth/api/v1/bootstrap | grep -q 204; do sleep 0.2; done\n"
	s.run(wait + lines)
	s.run(lines)
	n.answers(t, "the role of platform", "Bearer "+documentedKey, "/auth/api/v1/role-mappings/group:platform", 200)
	n.answers(t, "a guess", stage.Basic("anybody", "a guess"), "/auth/api/v1/role-mappings/group:platform", 401)
}

// answers fails the test unless a read is answered like that.
func (n *node) answers(t *testing.T, what, authorization, path string, status int) {
	t.Helper()
	if r := n.send(t.Context(), "GET", path, authorization, ""); r.StatusCode != status {
		t.Errorf("%s: %d %s, want %d", what, r.StatusCode, r.body, status)
	}
}
