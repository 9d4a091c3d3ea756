package cli

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func readOnlyCommand(t *tool) *cobra.Command {
	var project string
	path := func() string {
		if project != "" {
			return client.Path("projects", project, "read-only")
		}
		return client.Path("read-only")
	}
	turn := func(word, short string, on bool) *cobra.Command {
		var reason string
		cmd := t.command(word, short, func(c *call) error {
			var r management.ReadOnly
			in := management.ReadOnlyInput{On: on, Reason: reason}
			if err := c.Do(c.ctx, http.MethodPut, path(), nil, in, &r); err != nil {
				return err
			}
			return c.show(r, readOnlyFields(&r)...)
		})
		cmd.Flags().StringVar(&reason, "reason", "", "Why, for people to read")
		return cmd
	}
	cmd := group("read-only", "Switches the registry, or a project, to read-only", `
Everything that writes is refused; logins and pulls go on.

	caddy registry-auth read-only on --reason "storage is being moved"`,
		turn("on", "Refuses everything that writes", true),
		turn("off", "Lets writes through again", false),
		t.command("show", "Shows the switch", func(c *call) error {
			r, err := client.Get[management.ReadOnly](c.ctx, c.Client, path(), nil)
			if err != nil {
				return err
			}
			return c.show(r, readOnlyFields(&r)...)
		}))
	cmd.PersistentFlags().StringVar(&project, "project", "", "A project instead of the whole registry")
	t.complete(cmd, "project", projectNames)
	return cmd
}

func readOnlyFields(r *management.ReadOnly) []field {
	state := "off"
	if r.On {
		state = "on"
	}
	return []field{{"Read-only", state}, {"Reason", r.Reason}, {"Since", since(r.Since, r.By)}}
}
