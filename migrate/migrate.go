// Package migrate reads what other systems know of accounts and their rights,
// and makes documents of it for import. What it cannot carry over it says by
// name, and where it is in doubt it gives less.
package migrate

import (
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// Result is what became of another system's file.
type Result struct {
	Document *management.Document
	// Lost is what could not be carried over, by name and with the reason.
	Lost []string
}

func (r *Result) lose(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, known := range r.Lost {
		if known == text {
			return
		}
	}
	r.Lost = append(r.Lost, text)
}

func newResult() *Result {
	return &Result{Document: &management.Document{Version: 1}}
}

// HarborRobots reads the answer of Harbor's GET /api/v2.0/robots, or several of
// them after another. Prefix is what Harbor puts before the names of robots.
func HarborRobots(text []byte, prefix string) (*Result, error) {
	r := newResult()
	var err error
	r.Document.Robots, r.Lost, err = management.HarborDocument(text, prefix)
	if err == nil && len(r.Document.Robots) > 0 {
		r.lose("secrets: Harbor does not tell them: rotate each robot to get a new one")
	}
	return r, err
}
