package demo_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// caddy returns the caddy command, in a world of its own: home is where it
// would keep configuration, state and temporary files.
func caddy(t *testing.T, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "XDG_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asCaddy+"=1", "HOME="+home, "TMPDIR="+home)
	cmd.Dir = home
	return cmd
}

// TestNothingIsLeftBehind runs the command, interrupts it and looks around.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			home := t.TempDir()
			cmd := caddy(t, home, "demo", "--listen", "127.0.0.1:0", "--provider", "127.0.0.1:0")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			began := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer guard.Stop()
			var printed strings.Builder
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				printed.WriteString(lines.Text() + "\n")
				if strings.HasPrefix(lines.Text(), "What the gateway decides") {
					break
				}
			}
			t.Logf("up in %s", time.Since(began).Round(time.Millisecond))
			var addresses []string
			for _, m := range regexp.MustCompile(`(?m)^  \w+ +http://(\S+)`).FindAllStringSubmatch(printed.String(), -1) {
				addresses = append(addresses, m[1])
			}
			if len(addresses) != 3 {
				t.Fatalf("printed addresses %v in\n%s\n%s", addresses, printed.String(), stderr.String())
			}
			if a := ask(t, "GET", "http://"+addresses[0]+"/v2/public/hello/manifests/latest", "", "", ""); a.status != 200 {
				t.Errorf("pull: %d %s", a.status, a.body)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, stderr.String())
			}
			for _, addr := range addresses {
				if c, err := net.Dial("tcp", addr); err == nil {
					_ = c.Close()
					t.Errorf("%s still answers", addr)
				}
			}
			empty(t, home)
		})
	}
}

func TestCommandSaysWhichPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	home := t.TempDir()
	out, err := caddy(t, home, "demo", "--listen", taken.Addr().String()).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	if !strings.Contains(string(out), "address already in use (choose another address with --listen)") {
		t.Errorf("said %s", out)
	}
	empty(t, home)
}

// TestSameBinaryIsCaddy checks that the demo's embedded parts leave the rest
// of the command line alone.
func TestSameBinaryIsCaddy(t *testing.T) {
	home := t.TempDir()
	config := []byte(":0 {\n\tregistry_auth {\n\t\tproject public/** {\n\t\t\tguest anyone\n\t\t}\n\t}\n\treverse_proxy localhost:5000\n}\n")
	if err := os.WriteFile(home+"/Caddyfile", config, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"version"},
		{"list-modules"},
		{"adapt", "--config", "Caddyfile"},
		{"validate", "--config", "Caddyfile"},
		{"demo", "--help"},
	} {
		if out, err := caddy(t, home, args...).CombinedOutput(); err != nil {
			t.Errorf("caddy %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
