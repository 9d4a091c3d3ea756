package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func whoAmICommand(t *tool) *cobra.Command {
	cmd := t.command("whoami", "Shows who the key is, and what it may do", func(c *call) error {
		s, err := client.Get[management.Self](c.ctx, c.Client, client.Path("whoami"), nil)
		if err != nil {
			return err
		}
		var projects []string
		for _, p := range s.Projects {
			projects = append(projects, p.Project+" "+strings.Join(p.Actions, ","))
		}
		limits := ""
		if s.Limits != nil {
			if limits = permissionLines(*s.Limits); limits == "" {
				limits = "nothing in the registry"
			}
		}
		return c.show(s,
			field{"You are", strings.TrimSuffix(s.Kind+":"+s.Name, ":")},
			field{"Groups", words(s.Groups)},
			field{"Administrator", fmt.Sprint(s.Admin)},
			field{"Scopes", words(s.Scopes)},
			field{"Projects", strings.Join(projects, "\n")},
			field{"May", permissionLines(s.Permissions)},
			field{"At most", limits},
			field{"Expires", instant(s.Expires)})
	})
	cmd.Long = "\nShows who the key that is shown belongs to, and what it may do."
	return cmd
}
