package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Optional returns a program that CI does not build itself: the one that the
// environment variable of its name (ZOT for zot) points to, or the one in
// PATH. Where there is none the test is skipped, even in CI, with a line that
// .ci/run repeats at its end.
func Optional(t testing.TB, name string) string {
	t.Helper()
	variable := strings.ToUpper(name)
	if wanted := os.Getenv(variable); wanted != "" {
		program, err := exec.LookPath(wanted)
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return program
	}
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("not run: %s (no %s in PATH and no %s)", t.Name(), name, variable)
	}
	return program
}
