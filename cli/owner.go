package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func ownerCommand(t *tool) *cobra.Command {
	return group("owner", "Manages who owns repositories and namespaces", `
	caddy registry-auth owner transfer team-a/app user:bob`,
		t.ownerList(), t.ownerShow(), t.ownerTransfer(), t.ownerRemove())
}

func (t *tool) ownerList() *cobra.Command {
	var prefix string
	cmd := t.command("list", "Lists who owns what", func(c *call) error {
		q := url.Values{}
		set(q, "prefix", prefix)
		list, err := everything[management.Owner](c, client.Path("owners"), q)
		if err != nil {
			return err
		}
		return printList(c, "owners", list,
			column[management.Owner]{"repository", func(o management.Owner) string { return o.Repository }},
			column[management.Owner]{"owner", func(o management.Owner) string { return o.Principal }},
			column[management.Owner]{"since", func(o management.Owner) string { return instant(&o.Since) }},
			column[management.Owner]{"pending", func(o management.Owner) string { return yes(o.Pending, "yes") }})
	})
	cmd.Flags().StringVar(&prefix, "prefix", "", "Only names that begin so")
	return cmd
}

func (t *tool) ownerShow() *cobra.Command {
	return t.command("show <repository>", "Shows the owner of a repository or namespace", func(c *call) error {
		o, err := client.Get[management.Owner](c.ctx, c.Client, client.Path("owners", c.args[0]), nil)
		if err != nil {
			return err
		}
		return c.show(o, ownerFields(&o)...)
	})
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

func (t *tool) ownerRemove() *cobra.Command {
	return t.command("remove <repository>", "Makes a repository or namespace nobody's", func(c *call) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("owners", c.args[0]), nil, nil, nil); err != nil {
			return err
		}
		return c.done("%s: nobody's", c.args[0])
	})
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
