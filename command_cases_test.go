package registryauth_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write what the commands print to the files that say so")

// runAsCaddy makes the test binary be Caddy, so that exit statuses are those
// of the real main function.
const runAsCaddy = "REGISTRY_AUTH_TEST_RUN_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(runAsCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// TestCommands runs the commands of testdata/explain/*.txt, lines after a
// "$ ", and compares what they print. "echo $?" is the last exit status.
func TestCommands(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			absolute, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir("testdata/explain")
			got := session(t, string(data))
			if *update {
				if err := os.WriteFile(absolute, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(data) {
				t.Errorf("%s: -update writes what is printed now:\n%s", file, got)
			}
		})
	}
}

// TestCommandsInDocs runs the commands of docs/explain.md with the
// configuration, the claims and the expectations that the page shows.
func TestCommandsInDocs(t *testing.T) {
	page, err := filepath.Abs("docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := map[string]string{"caddyfile": "Caddyfile", "json": "claims.json", "yaml": "policy_test.yaml"}
	fences := regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")
	for _, fence := range fences.FindAllStringSubmatch(string(data), -1) {
		if name, ok := files[fence[1]]; ok {
			if err := os.WriteFile(name, []byte(fence[2]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := fences.ReplaceAllStringFunc(string(data), func(fence string) string {
		if block, ok := strings.CutPrefix(fence, "```console\n"); ok {
			return "```console\n" + session(t, strings.TrimSuffix(block, "```")) + "```"
		}
		return fence
	})
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got != string(data) {
		t.Errorf("docs/explain.md: -update writes what is printed now:\n%s", got)
	}
}

// session runs the commands of a transcript and returns it with what they
// print now. An empty line belongs to the transcript where a command or a
// comment follows.
func session(t *testing.T, transcript string) string {
	t.Helper()
	var out strings.Builder
	status := 0
	for line := range strings.Lines(transcript) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			if strings.HasPrefix(line, "# ") {
				out.WriteString("\n" + line)
			}
			continue
		}
		out.WriteString(line)
		words := strings.Fields(command)
		switch {
		case strings.Join(words, " ") == "echo $?":
			fmt.Fprintln(&out, status)
		case len(words) > 2 && words[0] == "caddy" && words[1] == "registry-auth":
			var printed string
			printed, status = run(words[2:]...)
			out.WriteString(printed)
		default:
			t.Fatalf("want caddy registry-auth, not %q", command)
		}
	}
	return strings.TrimPrefix(out.String(), "\n")
}

// run runs one command of registry-auth and returns its output and status.
func run(args ...string) (printed string, status int) {
	var out bytes.Buffer
	cmd := &cobra.Command{Use: "registry-auth", SilenceUsage: true}
	caddycmd.Commands()[cmd.Use].CobraFunc(cmd)
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(""))
	err := cmd.Execute()
	var exit interface{ ExitCode() int }
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		status = -1
	}
	return out.String(), status
}

// TestExitStatus runs the commands under Caddy's own main function.
func TestExitStatus(t *testing.T) {
	tests := []struct {
		want int
		args string
		says string
	}{
		{0, "explain --anonymous pull public/tool", "allowed"},
		{1, "explain --anonymous push public/tool", "denied"},
		{2, "explain --anonymous psh public/tool", `did you mean "push"?`},
		{2, "explain --anonymous --frob pull public/tool", "unknown flag"},
		{2, "explain --anonymous -c nowhere pull public/tool", "nowhere"},
		{0, "test policy_test.yaml", "0 failed"},
		{1, "test differences.yaml", "0 passed"},
		{2, "test wrong.yaml", "unknown field"},
		{0, "who-can push team-a/app", "group:team-a"},
		{2, "who-can push Team-a/app", "upper-case"},
		{2, "explian --anonymous pull public/tool", "unknown"},
		{2, "tset policy_test.yaml", `did you mean "test"?`},
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			cmd := exec.Command(program, append([]string{"registry-auth"}, strings.Fields(test.args)...)...)
			cmd.Dir = "testdata/explain"
			cmd.Env = append(os.Environ(), runAsCaddy+"=1")
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != test.want || !strings.Contains(string(out), test.says) {
				t.Errorf("status %d, want %d; it should say %q:\n%s", got, test.want, test.says, out)
			}
		})
	}
}
