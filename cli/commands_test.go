package cli

import (
	"flag"
	"testing"
)

var update = flag.Bool("update", false, "write what the commands print to the pages that show it")

// TestPages runs every command that the documentation shows, and holds it to
// what it shows.
func TestPages(t *testing.T) {
	for _, page := range []string{"../docs/cli.md", "../docs/migrate.md", "testdata/errors.md"} {
		t.Run(page, func(t *testing.T) {
			s := newStage(t)
			s.env[envKey] = adminKey
			s.transcript(page, *update)
		})
	}
}
