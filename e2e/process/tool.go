package process

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Required reports whether a missing tool fails the run: it does in CI, where
// E2E=required is set, so that nothing is skipped unseen.
func Required() bool { return os.Getenv("E2E") == "required" }

// Need skips the test by name when one of the programs is not installed, or
// fails it where [Required].
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		msg := fmt.Sprintf("%s is not installed (.ci/install installs it)", name)
		if Required() {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
}
