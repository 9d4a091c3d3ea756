package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// run runs one command line, on this machine unless it says --address, and
// returns what it prints and its status.
func (s *stage) run(args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	var out, err bytes.Buffer
	parent := &cobra.Command{Use: "registry-auth", SilenceUsage: true, SilenceErrors: true}
	parent.AddCommand(Commands(Options{
		Admin:  func() string { return strings.TrimPrefix(s.admin.URL, "http://") },
		Getenv: func(name string) string { return s.env[name] },
		Now:    s.clock.now, Version: "test",
	})...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "https://registry.example.com", s.gateway.URL)
	}
	parent.SetArgs(args)
	parent.SetOut(&out)
	parent.SetErr(&err)
	parent.SetIn(strings.NewReader(s.stdin))
	s.clock.advance(time.Minute)
	failed := parent.ExecuteContext(s.t.Context())
	if failed != nil && !Silent(failed) {
		fmt.Fprintln(&err, "Error:", failed)
	}
	return out.String(), err.String(), Status(failed)
}

// ok runs a command line that must succeed.
func (s *stage) ok(line string) string {
	s.t.Helper()
	out, err, status := s.run(fields(line)...)
	if status != 0 {
		s.t.Fatalf("%s: status %d\n%s%s", line, status, out, err)
	}
	return out
}

// fields cuts a command line into words; quotes keep words together.
func fields(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

var (
	ownSecret   = regexp.MustCompile(`\b(cra[a-z]{2}_)([a-z0-9]{12})_[A-Za-z0-9]+_[A-Za-z0-9]+`)
	doneKey     = regexp.MustCompile(`\(call, key [a-z0-9]{12}\)`)
	robotNumber = regexp.MustCompile(`"number": ?[0-9]+`)
	eventID     = regexp.MustCompile(`\b([0-9]{8}T[0-9.]+Z)-[A-Z2-7]{8}`)
	keyID       = regexp.MustCompile(`(?m)^[A-Za-z0-9_-]{43}`)
)

// scrub replaces what is made at random by what is the same each time.
func (s *stage) scrub(text string) string {
	for _, m := range ownSecret.FindAllStringSubmatch(text, -1) {
		s.fake(m[2])
	}
	for _, item := range s.state.APIKeys.Sorted() {
		if strings.Contains(text, item.ID) {
			s.fake(item.ID)
		}
	}
	for real, fake := range s.fakes {
		text = strings.ReplaceAll(text, real, fake)
	}
	text = ownSecret.ReplaceAllString(text, "${1}${2}_…")
	text = keyID.ReplaceAllStringFunc(text, func(id string) string {
		if s.fakes[id] == "" {
			sum := sha256.Sum256(fmt.Appendf(nil, "key %d", len(s.fakes)))
			s.fakes[id] = fmt.Sprintf("%.43s", base32.HexEncoding.EncodeToString(sum[:]))
		}
		return s.fakes[id]
	})
	text = doneKey.ReplaceAllString(text, "(call, key hyqudyygl6vd)")
	text = robotNumber.ReplaceAllString(text, `"number": 7`)
	text = eventID.ReplaceAllString(text, "$1-K3QZ7M2A")
	text = strings.ReplaceAll(text, s.gateway.URL, "https://registry.example.com")
	return strings.ReplaceAll(text, strings.TrimPrefix(s.admin.URL, "http://"), "localhost:2019")
}

func (s *stage) fake(id string) {
	if s.fakes[id] == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "id %d", len(s.fakes)))
		s.fakes[id] = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:len(id)]
	}
}

var fences = regexp.MustCompile("(?ms)^```([a-z]+)(?: title=(\\S+))?\n(.*?)^```$")

// transcript runs the commands of a page and holds it to what they print.
// Files are those of testdata/migrate, and YAML blocks that begin with a
// comment of their name. "$ echo $?" is the last status.
func (s *stage) transcript(page string, update bool) {
	t := s.t
	absolute, err := filepath.Abs(page)
	must(t, err)
	data, err := os.ReadFile(absolute)
	must(t, err)
	samples, err := filepath.Glob("../testdata/migrate/*")
	must(t, err)
	for _, name := range samples {
		text, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(s.dir, filepath.Base(name)), text, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "alice.token"), []byte("alice\n"), 0o600))
	t.Chdir(s.dir)
	status := 0
	got := fences.ReplaceAllStringFunc(string(data), func(fence string) string {
		m := fences.FindStringSubmatch(fence)
		if name, ok := strings.CutPrefix(strings.SplitN(m[3], "\n", 2)[0], "# "); ok && m[1] == "yaml" {
			must(t, os.WriteFile(name, []byte(m[3]), 0o600))
		}
		if m[1] != "console" {
			return fence
		}
		var out strings.Builder
		for line := range strings.Lines(m[3]) {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			out.WriteString(line)
			words := fields(command)
			if len(words) > 2 && words[len(words)-2] == "<" {
				s.stdin = s.file(words[len(words)-1])
				words = words[:len(words)-2]
			}
			to := ""
			if len(words) > 2 && words[len(words)-2] == ">" {
				to, words = words[len(words)-1], words[:len(words)-2]
			}
			switch {
			case strings.TrimSpace(command) == "echo $?":
				fmt.Fprintln(&out, status)
			case len(words) > 2 && words[0] == "caddy" && words[1] == "registry-auth":
				stdout, stderr, n := s.run(words[2:]...)
				status = n
				if to != "" {
					must(t, os.WriteFile(to, []byte(stdout), 0o600))
					stdout = ""
				}
				_, _ = io.WriteString(&out, s.scrub(stdout+stderr))
			default:
				t.Fatalf("want caddy registry-auth, not %q", command)
			}
		}
		return "```console\n" + out.String() + "```"
	})
	if update {
		must(t, os.WriteFile(absolute, []byte(got), 0o600))
	}
	if got != string(data) {
		t.Errorf("%s: -update writes what is printed now:\n%s", page, got)
	}
}

func (s *stage) file(name string) string {
	text, err := os.ReadFile(name)
	must(s.t, err)
	return string(text)
}
