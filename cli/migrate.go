package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/migrate"
)

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
