package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/attack/runner"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

func newRunner(t *testing.T) *runner.Runner {
	t.Helper()
	process.Need(t, "docker-registry")
	r, err := runner.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestAttackRows plays the rows of testdata, or of the files in ATTACK_CASES
// alone.
func TestAttackRows(t *testing.T) {
	r := newRunner(t)
	rows, err := runner.Load(runner.Files("../testdata", filepath.SplitList(os.Getenv("ATTACK_CASES"))...)...)
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

// TestRowsLeaveTheStageAsItWas: rows that destroy do not fail those that come
// after them.
func TestRowsLeaveTheStageAsItWas(t *testing.T) {
	r := newRunner(t)
	bearer := func(value string) [][2]string { return [][2]string{{"Authorization", "Bearer " + value}} }
	pulls := runner.Row{
		Method: http.MethodGet, Path: "/v2/team/app/manifests/x",
		Headers: bearer("{{token:robot$reader:team/app:pull}}"), ExpectStatus: []int{200},
	}
	for _, destroys := range []runner.Row{
		{
			ID: "image", Method: http.MethodDelete, Path: "/v2/team/app/manifests/{{digest:team/app:x}}",
			Headers: bearer("{{token:robot$janitor:team/app:pull,push,delete}}"), ExpectStatus: []int{202},
		},
		{
			ID: "blob", Method: http.MethodDelete, Path: "/v2/team/app/blobs/{{digest:team/app:config}}",
			Headers: bearer("{{token:robot$janitor:team/app:pull,push,delete}}"), ExpectStatus: []int{202},
		},
		{
			ID: "keys", Method: http.MethodPost, Path: "{{admin}}/signing-keys/revoke-all", Group: "admin",
			Headers: append(bearer("{{adminkey}}"), [2]string{"Content-Type", "application/json"}), ExpectStatus: []int{200},
		},
		{
			ID: "project", Method: http.MethodPut, Path: "{{admin}}/projects/team2", Body: `{"patterns":["team/app/**"]}`, Group: "admin",
			Headers: bearer("{{adminkey}}"), ExpectStatus: []int{200, 201},
		},
	} {
		for _, row := range []runner.Row{destroys, pulls} {
			wrong, err := r.Play(t.Context(), row)
			if err != nil || len(wrong) > 0 {
				t.Errorf("after %s: %s: %v, %v", destroys.ID, row.Path, wrong, err)
			}
		}
	}
	// A fresh stage has no administrator yet.
	for range 2 {
		wrong, err := r.Play(t.Context(), runner.Row{
			Stage: "fresh", Group: "bootstrap", Method: http.MethodPost, Path: "{{admin}}/bootstrap",
			Body: `{"secret":"{{boot}}"}`, ExpectStatus: []int{201},
		})
		if err != nil || len(wrong) > 0 {
			t.Errorf("bootstrap of a fresh stage: %v, %v", wrong, err)
		}
	}
}
