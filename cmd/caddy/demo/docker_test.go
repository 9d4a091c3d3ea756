package demo_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPastedLines gives the printed lines to a shell, with the real docker.
func TestPastedLines(t *testing.T) {
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("E2E") == "required" {
			t.Fatalf("docker does not answer: %v: %s", err, out)
		}
		t.Skip("docker does not answer: the printed lines are not tried")
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	d := start(t, "")
	var script strings.Builder
	for _, step := range d.Steps() {
		for _, line := range step.Lines {
			// One shell for all lines, as they share variables.
			fmt.Fprintf(&script, "%s\necho \"exit:$?\"\n", line.Command)
		}
	}
	out, err := exec.Command("sh", "-c", script.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rest := string(out)
	for _, step := range d.Steps() {
		for _, line := range step.Lines {
			said, after, _ := strings.Cut(rest, "exit:")
			status, after, _ := strings.Cut(after, "\n")
			rest = after
			if refused := status != "0"; refused != line.Refused {
				t.Errorf("%s\nended with %q, wanted refusal: %v\n%s", line.Command, status, line.Refused, said)
			}
		}
	}
}
