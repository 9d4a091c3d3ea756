package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/migrate"
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

// partSize is how many robots of a large document one call imports: few enough
// that each is done in a moment.
const partSize = 500

// importDocument imports a document. A large one goes in parts, so that it can
// be seen how far it is; then all of it is tried before, and a mistake
// anywhere in it changes nothing. Only the whole shows what is too much, so
// that pruning is done in one.
func (c *call) importDocument(d *management.Document, dryRun, prune bool) (*management.ImportResult, error) {
	parts := split(d)
	if len(parts) == 1 || dryRun || prune {
		return c.importPart(d, dryRun, prune)
	}
	p := c.newProgress("importing", 1+len(parts))
	defer p.end()
	if _, err := c.importPart(d, true, false); err != nil {
		return nil, err
	}
	p.step()
	result := &management.ImportResult{}
	for _, part := range parts {
		got, err := c.importPart(part, false, false)
		if err != nil {
			return nil, err
		}
		result.Changes = append(result.Changes, got.Changes...)
		p.step()
	}
	return result, nil
}

func (c *call) importPart(d *management.Document, dryRun, prune bool) (*management.ImportResult, error) {
	q := url.Values{}
	set(q, "dry_run", yes(dryRun, "true"))
	set(q, "prune", yes(prune, "true"))
	result := new(management.ImportResult)
	return result, c.Do(c.ctx, http.MethodPost, client.Path("import"), q, d, result)
}

// split cuts a document: what robots need comes in the first part, what needs
// robots in the last.
func split(d *management.Document) []*management.Document {
	if len(d.Robots) <= partSize {
		return []*management.Document{d}
	}
	var parts []*management.Document
	for robots := range slices.Chunk(d.Robots, partSize) {
		parts = append(parts, &management.Document{Version: d.Version, Robots: robots})
	}
	first, last := parts[0], parts[len(parts)-1]
	first.Projects, first.RoleMappings, first.APIKeys = d.Projects, d.RoleMappings, d.APIKeys
	last.Owners, last.LockedOut = d.Owners, d.LockedOut
	last.ReadOnly, last.ReadOnlyProjects = d.ReadOnly, d.ReadOnlyProjects
	return parts
}

func exportCommand(t *tool) *cobra.Command {
	var file string
	cmd := t.command("export", "Prints everything that is managed but secrets, as YAML", func(c *call) error {
		d, err := client.Get[management.Document](c.ctx, c.Client, client.Path("export"), nil)
		if err != nil {
			return err
		}
		if c.json {
			return c.printJSON(d)
		}
		text, err := d.YAML()
		if err != nil {
			return err
		}
		if file != "" {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return fmt.Errorf("writing the export: %w", err)
			}
			return nil
		}
		_, err = c.out().Write(text)
		return err
	})
	cmd.Long = `
Prints projects, role mappings, robots, keys, owners, users who are locked out
and the read-only switches, as YAML that import takes. There is no secret in it
and no hash of one.

	caddy registry-auth export --output registry.yaml`
	cmd.Flags().StringVarP(&file, "output", "o", "", "File to write, instead of standard output")
	return cmd
}

func migrateCommand(t *tool) *cobra.Command {
	var allow []string
	htpasswd := t.migration("htpasswd <file>", "Makes robots of the users of an htpasswd file",
		func(text []byte) (*migrate.Result, error) {
			if allow == nil {
				allow = []string{"pull,push:**"}
			}
			rights, err := parsePermissions(allow)
			if err != nil {
				return nil, err
			}
			return migrate.Htpasswd(text, rights)
		})
	htpasswd.Flags().StringArrayVar(&allow, "allow", nil, "What each may do, such as pull:team-a/**; several times for more (default: pull,push:**)")

	dockerAuth := t.migration("docker_auth <file>", "Makes robots of the users and the acl of a docker_auth configuration", migrate.DockerAuth)

	var prefix string
	harbor := t.migration("harbor-robots <file>", "Makes robots of what Harbor's GET /api/v2.0/robots answers",
		func(text []byte) (*migrate.Result, error) { return migrate.HarborRobots(text, prefix) })
	harbor.Flags().StringVar(&prefix, "prefix", "robot$", "What Harbor puts before the names of robots")

	return group("migrate", "Takes accounts over from another system", `
Reads another system's file or export, - for standard input, and prints a
document for import; or applies it at once, with --apply. What could not be
carried over stands on standard error, by name.

	caddy registry-auth migrate docker_auth auth_config.yml > robots.yaml
	curl -u admin https://harbor.example.com/api/v2.0/robots | caddy registry-auth migrate harbor-robots - --apply --dry-run`,
		htpasswd, dockerAuth, harbor)
}

// migration makes a command that reads a file of another system.
func (t *tool) migration(usage, short string, read func([]byte) (*migrate.Result, error)) *cobra.Command {
	var apply, dryRun bool
	cmd := &cobra.Command{Use: usage, Short: short, Args: argumentsOf(usage)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := readInput(args[0], cmd.InOrStdin(), t.key == "-")
		if err != nil {
			return err
		}
		r, err := read(text)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		c := &call{tool: t, cmd: cmd, args: args}
		for _, lost := range r.Lost {
			c.note("not carried over: %s", lost)
		}
		switch {
		case apply || dryRun:
			if c, err = t.connect(cmd, args); err != nil {
				return err
			}
			return (&importFlags{dryRun: dryRun}).run(c, r.Document)
		case t.json:
			return c.printJSON(r.Document)
		}
		out, err := r.Document.YAML()
		if err != nil {
			return err
		}
		_, err = c.out().Write(out)
		return err
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "Import it, instead of printing it")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "Only say what --apply would do")
	return cmd
}
