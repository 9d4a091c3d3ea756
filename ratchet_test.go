package registryauth_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRatchets holds what has been reached in keeping the house in order. A
// bound is what there is, and goes down with it until it is where it should be.
func TestRatchets(t *testing.T) {
	assertion := regexp.MustCompile(`\.\(interface ?\{|case interface ?\{`)
	// Whoever looks for one of these errors in order to answer it has a second
	// table of answers. [authn.ErrNotMine] asks the next authenticator, and
	// state keeps of people what their directory says.
	answered := regexp.MustCompile(`(?:errors\.(?:Is|As)\([^,]+, (?:authn\.Err(?:Busy|Cross|Disabled|Expired|Forbidden|Invalid|Malformed|Unavailable|Unconfirmed)|&throttled|new\(\*authn\.)|errors\.AsType\[\*authn\.(?:Throttled|PasswordsOff)|\{authn\.Err|errors\.Is\([^,]+, store\.Err(?:Full|ReadOnly))`)
	places := map[string]bool{}
	var short, assertions, longest, most int
	var longestFile, largest string
	files := map[string]int{}
	for _, name := range shippedFiles(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(data, []byte("\n"))
		if lines < 40 {
			short++
		}
		if lines > longest {
			longest, longestFile = lines, name
		}
		assertions += len(assertion.FindAll(data, -1))
		dir := path.Dir(name)
		if dir != "authn" && dir != "state" && topFolder(dir) != "store" && answered.Match(data) {
			places[name] = true
		}
		if files[dir]++; files[dir] > most {
			most, largest = files[dir], dir
		}
	}
	for _, r := range []struct {
		what     string
		is, most int
	}{
		{"files in the root package", files["."], 1},                     // reached
		{"files in " + largest, most, 41},                                // goal: 30
		{"files of less than 40 lines", short, 5},                        // goal: 10
		{"assertions on interfaces without a name", assertions, 0},       // reached
		{"places that map errors to answers", len(places), 1},            // reached
		{"lines in " + longestFile + ", the longest file", longest, 600}, // reached
	} {
		if r.is > r.most {
			t.Errorf("%d %s, want at most %d", r.is, r.what, r.most)
		}
		t.Logf("%d %s, at most %d", r.is, r.what, r.most)
	}
}

// TestExamples: whoever opens a package for the first time finds it used.
func TestExamples(t *testing.T) {
	example := regexp.MustCompile(`(?m)^func Example\w*\(\) \{$`)
	for _, dir := range []string{
		"answer", "authn", "authz", "caddyfile", "client", "export", "internal/duration", "migrate", "signature", "state", "store/memstore",
		"tokenendpoint", "tokenendpoint/keys",
	} {
		data, err := os.ReadFile(path.Join(dir, "example_test.go"))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := len(example.FindAll(data, -1)); n == 0 || n != bytes.Count(data, []byte("// Output:")) {
			t.Errorf("%s: %d examples, of which not every one is run", dir, n)
		}
	}
}

// translated are words that give away a sentence which was thought in another
// language. Subject, verb and object in plain English say the same.
var translated = regexp.MustCompile(`(?i)\b(anew|for ever|meanwhile|what is said of|that there are|to who|of who|for who has)\b`)

// TestPlainEnglish holds comments, messages and docs to it.
func TestPlainEnglish(t *testing.T) {
	const most = 27 // goal: 0
	found := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case name == "ratchet_test.go" || path.Ext(name) != ".go" && path.Ext(name) != ".md":
			return nil
		}
		text, err := os.ReadFile(name)
		n := len(translated.FindAll(text, -1))
		if found += n; n > 0 {
			t.Logf("%s: %d", name, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found > most {
		t.Errorf("%d of the words of %s, want at most %d", found, translated, most)
	}
}
