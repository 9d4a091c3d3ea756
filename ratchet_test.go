package registryauth_test

import (
	"bytes"
	"os"
	"path"
	"regexp"
	"testing"
)

// TestRatchets holds what has been reached in keeping the house in order. A
// bound is what there is, and goes down with it until it is where it should be.
func TestRatchets(t *testing.T) {
	assertion := regexp.MustCompile(`\.\(interface ?\{|case interface ?\{`)
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
		if files[dir]++; files[dir] > most {
			most, largest = files[dir], dir
		}
	}
	for _, r := range []struct {
		what     string
		is, most int
	}{
		{"files in the root package", files["."], 1},                     // reached
		{"files in " + largest, most, 95},                                // goal: 30
		{"files of less than 40 lines", short, 27},                       // goal: 10
		{"assertions on interfaces without a name", assertions, 0},       // reached
		{"lines in " + longestFile + ", the longest file", longest, 600}, // reached
	} {
		if r.is > r.most {
			t.Errorf("%d %s, want at most %d", r.is, r.what, r.most)
		}
		t.Logf("%d %s, at most %d", r.is, r.what, r.most)
	}
}
