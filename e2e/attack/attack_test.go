package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/attack/runner"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// TestAttackRows plays the rows of testdata/attacks.jsonl and of the files in
// ATTACK_CASES.
func TestAttackRows(t *testing.T) {
	process.Need(t, "docker-registry")
	s, err := stage.Start(t.Context(), stage.Options{Record: true, Managed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	r, err := runner.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })

	files := append([]string{"../testdata/attacks.jsonl", "../testdata/attacks-own.jsonl"}, filepath.SplitList(os.Getenv("ATTACK_CASES"))...)
	rows, err := runner.Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	report := r.PlayAll(t.Context(), rows, os.Stdout)
	if report.Failed > 0 {
		t.Errorf("%d of %d rows failed", report.Failed, len(rows))
	}
	if report.Passed == 0 {
		t.Error("no row was played")
	}
}
