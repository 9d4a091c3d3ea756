// Package runner plays attack cases against the gateway: HTTP requests in a
// JSON-lines file, with what may and what may not come of them.
//
// A row names a method, a path, headers as a list of pairs and a body, all
// with placeholders such as {{token:alice:team/app:pull}}, the statuses it
// may be answered with, and words for what must and must not happen (see
// expect.go). What the stage cannot provide fails the row. A row that changed
// something is followed by a repair or by another stage (see scene.go).
package runner

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Row is one case.
type Row struct {
	ID           string      `json:"id"`
	Group        string      `json:"group"`
	Setup        string      `json:"setup"`
	Method       string      `json:"method"`
	Path         string      `json:"path"`
	Headers      [][2]string `json:"headers"`
	Body         string      `json:"body"`
	ExpectStatus []int       `json:"expect_status"`
	// Expect has the words for what must happen, ExpectNot for what must not.
	Expect    []string `json:"expect"`
	ExpectNot []string `json:"expect_not"`
	// Stage is the scene that the row needs: see scenes. Rows may also say so
	// in their Setup.
	Stage string `json:"stage"`
	// Raw rows go out byte for byte; others may be repaired as a client
	// library would, where HTTP could not carry them.
	Raw bool `json:"raw"`
}

// Files are those of the repository, whose folder is root, unless others are
// chosen: then these alone.
func Files(root string, chosen ...string) []string {
	if len(chosen) > 0 {
		return chosen
	}
	return []string{filepath.Join(root, "attacks.jsonl"), filepath.Join(root, "attacks-own.jsonl")}
}

// Load reads the rows of files.
func Load(paths ...string) ([]Row, error) {
	var rows []Row
	for _, path := range paths {
		more, err := load(path)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func load(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []Row
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// unsupported is an error about what the stage cannot provide.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("unsupported: %s", fmt.Sprintf(format, args...))
}

// allRefusals reports whether every expected status is a refusal.
func (r *Row) allRefusals() bool {
	for _, status := range r.ExpectStatus {
		if status < 400 {
			return false
		}
	}
	return true
}
