package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

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
