package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func identityTokenCommand(t *tool) *cobra.Command {
	return group("identity-token", "Manages docker logins", `
Identity tokens are what docker and other clients keep instead of a password.
They are made by docker login, and by

	caddy registry-auth login registry.example.com

Their owner and administrators see and end them.

	caddy registry-auth identity-token list --user alice`,
		t.identityTokenList(), t.identityTokenRevoke())
}

func (t *tool) identityTokenList() *cobra.Command {
	var user string
	cmd := t.command("list", "Lists docker logins: yours, or everybody's for a key", func(c *call) error {
		q, err := c.tokensOf(user)
		if err != nil {
			return err
		}
		list, err := everything[management.IdentityToken](c, client.Path("identity-tokens"), q)
		if err != nil {
			return err
		}
		byName(list, func(i management.IdentityToken) string { return i.Owner + " " + i.Client })
		return printList(c, "docker logins", list,
			column[management.IdentityToken]{"id", func(i management.IdentityToken) string { return i.ID }},
			column[management.IdentityToken]{"owner", func(i management.IdentityToken) string { return i.Owner }},
			column[management.IdentityToken]{"client", func(i management.IdentityToken) string { return i.Client }},
			column[management.IdentityToken]{"from", func(i management.IdentityToken) string { return i.Remote }},
			column[management.IdentityToken]{"good for", func(i management.IdentityToken) string { return limitWords(i.Permissions, " ") }},
			column[management.IdentityToken]{"expires", func(i management.IdentityToken) string { return instant(&i.Expires) }},
			column[management.IdentityToken]{"last used", func(i management.IdentityToken) string { return usedAt(i.LastUsed) }})
	})
	cmd.Flags().StringVar(&user, "user", "", "Whose: the name or id of a user, * for everybody")
	t.complete(cmd, "user", userNames)
	return cmd
}

// tokensOf is the query for what a user has; none is whoever asks.
func (c *call) tokensOf(user string) (url.Values, error) {
	q := url.Values{}
	if user != "" && user != management.Everybody {
		id, err := c.userID(user)
		if err != nil {
			return nil, err
		}
		user = id
	}
	set(q, "user", user)
	return q, nil
}

func (t *tool) identityTokenRevoke() *cobra.Command {
	return t.command("revoke <id>", "Ends a docker login at once: its client has to log in again", func(c *call) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("identity-tokens", c.args[0]), nil, nil, nil); err != nil {
			return err
		}
		return c.done("docker login %s: ended", c.args[0])
	})
}
