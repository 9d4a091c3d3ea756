package management

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented wants every operation, every scope and every code of
// docs/management.md: a problem's type leads there.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/management.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for code, m := range meanings {
		if !strings.Contains(page, "\n### "+string(code)+"\n") || m.title == "" {
			t.Errorf("code %s is not documented", code)
		}
	}
	s := newStage(t)
	for _, r := range s.api.routes {
		if !strings.Contains(page, "| `"+r.method+" "+r.path+"` |") {
			t.Errorf("%s %s is not documented", r.method, r.path)
		}
	}
	for _, scope := range Scopes {
		resource, _, _ := strings.Cut(string(scope), ":")
		if !strings.Contains(page, "`"+resource) {
			t.Errorf("scope %s is not documented", scope)
		}
	}
}
