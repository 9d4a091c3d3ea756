package process

import (
	"os"
	"testing"
)

// Optional returns the program that the environment variable names. It skips
// the test where there is none, in CI, too: it is for what takes CI too long to
// build.
func Optional(t testing.TB, variable string) string {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Skipf("%s names no program: see CONTRIBUTING.md", variable)
	}
	return program
}
