package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// write writes a document and returns its path.
func (s *stage) write(text string) string {
	name := filepath.Join(s.dir, "document.yaml")
	must(s.t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// TestRoundTrip: what is exported is what is there, and importing it anywhere
// makes the same.
func TestRoundTrip(t *testing.T) {
	s := newStage(t)
	for _, line := range []string{
		"project create team-a --member group:team-a=developer --immutable v*",
		"robot create team-a+ci --allow pull,push:team-a/** --expires 90d --from 10.0.0.0/8 --description 'builds'",
		"robot create scanner --allow pull:** --allow catalog --disabled",
		"role set group:platform admin",
		"key create terraform --scope robots:write",
		"owner transfer team-a/app user:alice",
		"user disable bob",
		"read-only on --project base",
	} {
		s.ok(line)
	}
	file := filepath.Join(s.dir, "export.yaml")
	s.ok("export -o " + file)
	exported := s.file(file)
	if strings.Contains(exported, "hash") {
		t.Errorf("hashes:\n%s", exported)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if got := s.ok("import " + file); got != "All is as the document says.\n" {
		t.Errorf("the same again:\n%s", got)
	}
	for _, prune := range []string{"", " --prune"} {
		if got := s.ok("import --dry-run --exit-code " + file + prune); got != "All is as the document says.\n" {
			t.Errorf("%s:\n%s", prune, got)
		}
	}
	other := newStage(t)
	other.clock = s.clock
	// A key without its hash cannot be made: the rest is.
	other.ok("import " + file)
	again := other.ok("export")
	if before, after := withoutKeys(t, exported), withoutKeys(t, again); before != after {
		t.Errorf("exported\n%s\nimported\n%s", before, after)
	}
	if got := other.ok("import --quiet " + file); got != "" {
		t.Errorf("quiet: %s", got)
	}
}

func withoutKeys(t *testing.T, text string) string {
	t.Helper()
	d, err := management.ParseDocument([]byte(text))
	must(t, err)
	d.APIKeys = nil
	out, err := d.YAML()
	must(t, err)
	return string(out)
}

func TestPrune(t *testing.T) {
	s := newStage(t)
	s.ok("robot create one")
	s.ok("robot create two")
	s.ok("role set user:alice guest")
	file := s.write("version: 1\nrobots: [{name: one}]\n")
	if got := s.ok("import --dry-run --prune " + file); got != "- robot two\n0 would be created, 0 would be changed, 1 would be deleted.\n" {
		t.Error(got)
	}
	if got := s.ok("import " + file); got != "All is as the document says.\n" {
		t.Error(got)
	}
	s.ok("import --prune " + file)
	if got := s.ok("robot list --json"); strings.Contains(got, `"two"`) {
		t.Error(got)
	}
	if got := s.ok("role list"); !strings.Contains(got, "user:alice") {
		t.Errorf("a list that is absent was pruned: %s", got)
	}
	if _, err, status := s.run("import", "--exit-code", file); status != StatusUsage {
		t.Errorf("%d %s", status, err)
	}
}

// TestManyRobots imports a document in parts; with a mistake in it nothing is
// done.
func TestManyRobots(t *testing.T) {
	s := newStage(t)
	var b strings.Builder
	b.WriteString("version: 1\nprojects: [{name: big, patterns: [large/**]}]\nowners: [{repository: large/app, principal: 'robot:big+r1234'}]\nrobots:\n")
	const many = 1234
	for i := range many + 1 {
		fmt.Fprintf(&b, "  - {name: big+r%d, permissions: [{name: large/r%d, actions: [pull]}]}\n", i, i)
	}
	file := s.write(b.String() + "  - {name: big+bad, permissions: [{name: 'large/{', actions: [pull]}]}\n")
	if out, err, status := s.run("import", file); status != StatusRefused || !strings.Contains(err, fmt.Sprintf("robots[%d].permissions[0]", many+1)) {
		t.Fatalf("%d %s %s", status, out, err)
	}
	if n := len(s.state.Robots.Sorted()); n != 0 {
		t.Fatalf("%d robots after a refusal", n)
	}
	file = s.write(b.String())
	out := s.ok("import " + file)
	if !strings.HasSuffix(out, fmt.Sprintf("%d created, 0 changed, 0 deleted.\n", many+3)) {
		t.Errorf("…%s", out[max(0, len(out)-200):])
	}
	if n := len(s.state.Robots.Sorted()); n != many+1 {
		t.Errorf("%d robots", n)
	}
	if got := s.ok("import " + file); got != "All is as the document says.\n" {
		t.Errorf("again: %.300s", got)
	}
	if got := s.ok("import --prune " + file); got != "All is as the document says.\n" {
		t.Errorf("again, with prune: %.300s", got)
	}
}

// TestStoreAway: what cannot be reached is told from what is refused.
func TestStoreAway(t *testing.T) {
	s := newStage(t)
	s.store.Fail("apply", store.ErrUnavailable)
	if out, err, status := s.run("robot", "create", "ci"); status != StatusUnreachable || !strings.Contains(err, "unavailable") {
		t.Errorf("%d %s %s", status, out, err)
	}
	s.store.Fail("apply", nil)
	s.ok("robot create ci")
}
