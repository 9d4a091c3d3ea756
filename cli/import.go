package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// importFlags say how a document is imported.
type importFlags struct{ dryRun, prune, exitCode bool }

func (f *importFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "Only say what would be done")
	cmd.Flags().BoolVar(&f.prune, "prune", false, "Delete what the lists of the document do not have; lists that are absent are left alone")
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "With --dry-run: end with status 4 if something would be done")
}

func importCommand(t *tool) *cobra.Command {
	var f importFlags
	cmd := t.command("import <file>", "Makes things as a YAML document says", func(c *call) error {
		d, err := readDocument(c.args[0], c.cmd.InOrStdin(), c.key == "-")
		if err != nil {
			return err
		}
		return f.run(c, d)
	})
	cmd.Long = `
Makes things as a document in the form of export says; - reads it from standard
input. What is as it should be is left alone, so that the second time does
nothing. Robots and keys that exist keep their secrets. A robot that is new
gets a secret that nobody knows, unless the document has secret_hashes: rotate
it to get one.

	caddy registry-auth import registry.yaml --dry-run
	caddy registry-auth import registry.yaml --prune`
	f.add(cmd)
	return cmd
}

// maxDocument is how large a document may be, in bytes.
const maxDocument = 256 << 20

func readDocument(name string, stdin io.Reader, taken bool) (*management.Document, error) {
	text, err := readInput(name, stdin, taken)
	if err != nil {
		return nil, err
	}
	d, err := management.ParseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// readInput reads a file, - for standard input.
func readInput(name string, stdin io.Reader, taken bool) ([]byte, error) {
	if name == "-" {
		if taken {
			return nil, errors.New("standard input has the key: name the file")
		}
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("it is larger than %d bytes", maxDocument)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return text, nil
}

// run imports a document and prints what was done.
func (f *importFlags) run(c *call, d *management.Document) error {
	if f.exitCode && !f.dryRun {
		return errors.New("--exit-code is for --dry-run")
	}
	result, err := c.importDocument(d, f.dryRun, f.prune)
	if err != nil {
		return err
	}
	switch {
	case c.json:
		err = c.printJSON(result)
	case !c.quiet:
		err = c.printChanges(result)
	}
	if err == nil && f.exitCode && changes(result) {
		return errDiffers
	}
	return err
}

// changes reports whether something is done; what is passed over is not.
func changes(r *management.ImportResult) bool {
	for _, x := range r.Changes {
		if x.Action != "skip" {
			return true
		}
	}
	return false
}

func (c *call) printChanges(r *management.ImportResult) error {
	count := map[string]int{}
	for _, x := range r.Changes {
		count[x.Action]++
		if _, err := fmt.Fprintln(c.out(), c.colored(x.Action, terminal.Text(x.String()))); err != nil {
			return err
		}
	}
	verb := ""
	if r.DryRun {
		verb = "would be "
	}
	switch {
	case !changes(r):
		fmt.Fprintln(c.out(), "All is as the document says.")
	default:
		fmt.Fprintf(c.out(), "%d %screated, %d %schanged, %d %sdeleted.\n", count["create"], verb, count["update"], verb, count["delete"], verb)
	}
	return nil
}

// colored paints a change on a terminal.
func (c *call) colored(action, text string) string {
	color := map[string]string{"create": "32", "update": "33", "delete": "31", "skip": "90"}[action]
	if color == "" || c.Getenv("NO_COLOR") != "" || !isTerminal(c.out()) {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}
