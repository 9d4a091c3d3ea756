package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var owners = resource[management.Owner]{
	path: "owners", one: "repository", many: "owners", fields: ownerFields,
	columns: []column[management.Owner]{
		{"repository", func(o management.Owner) string { return o.Repository }},
		{"owner", func(o management.Owner) string { return o.Principal }},
		{"since", func(o management.Owner) string { return instant(&o.Since) }},
		{"pending", func(o management.Owner) string { return yes(o.Pending, "yes") }},
	},
}

func ownerCommand(t *tool) *cobra.Command {
	var prefix string
	list := owners.list(t, "Lists who owns what", func(*call) (url.Values, error) {
		q := url.Values{}
		set(q, "prefix", prefix)
		return q, nil
	})
	list.Flags().StringVar(&prefix, "prefix", "", "Only names that begin so")
	return group("owner", "Manages who owns repositories and namespaces", `
	caddy registry-auth owner transfer team-a/app user:bob`,
		list, owners.show(t, "show <repository>", "Shows the owner of a repository or namespace"), t.ownerTransfer(),
		owners.remove(t, "remove <repository>", "Makes a repository or namespace nobody's", "nobody's"))
}

func (t *tool) ownerTransfer() *cobra.Command {
	var in management.OwnerInput
	cmd := t.command("transfer <repository> <principal>", "Gives a repository or namespace to somebody else", func(c *call) error {
		in.Principal = c.args[1]
		var made management.Owner
		if err := c.Do(c.ctx, http.MethodPut, client.Path("owners", c.args[0]), nil, in, &made); err != nil {
			return err
		}
		return c.show(made, ownerFields(&made)...)
	})
	cmd.Flags().StringVar(&in.Identity, "identity", "", "Id of the user, where several have the name or none has been seen")
	return cmd
}

func ownerFields(o *management.Owner) []field {
	return []field{
		{"Repository", o.Repository},
		{"Owner", o.Principal},
		{"Identity", o.Identity},
		{"Since", instant(&o.Since)},
		{"Pending", yes(o.Pending, "the push that made it has not succeeded yet")},
	}
}
