package management

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
)

func TestInstallation(t *testing.T) {
	s := newStage(t)
	for _, f := range export.Formats() {
		path := "/export/" + f.Name
		s.call("alice", "GET", path, nil).want(403, CodeForbidden)
		if f.Login {
			s.admin("GET", path, nil).want(409, CodeConflict)
			continue
		}
		got := s.admin("GET", path, nil).want(200)
		if len(got.body) == 0 || got.header.Get("Content-Type") == "" {
			t.Errorf("%s: %q, %s", f.Name, got.header.Get("Content-Type"), got.body)
		}
	}
	if got := s.admin("GET", "/export/env", nil).want(200); !strings.Contains(string(got.body), "/v2/token") {
		t.Errorf("env: %s", got.body)
	}
}
