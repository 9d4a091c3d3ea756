package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func tokenCommand(t *tool) *cobra.Command {
	return group("token", "Manages personal access tokens", `
Personal access tokens are for people. They are made by the person that shows a
token at the gateway: a local administrator can list and revoke them, not make
them.

	caddy registry-auth token create laptop --allow pull:** --address https://registry.example.com --key-file ~/.registry-token
	caddy registry-auth token list --user alice`,
		t.tokenCreate(), t.tokenList(), t.tokenRevoke())
}

func (t *tool) tokenCreate() *cobra.Command {
	var in management.NewToken
	var allow []string
	var expires string
	cmd := t.command("create <name>", "Makes an access token for yourself and prints it", func(c *call) error {
		in.Name = c.args[0]
		list, err := parsePermissions(allow)
		if err != nil {
			return err
		}
		if list != nil {
			in.Permissions = &list
		}
		in.Never = expires == "never"
		if in.Expires, err = c.parseTime("expires", expires); err != nil {
			return err
		}
		var made management.TokenWithSecret
		if err := c.Do(c.ctx, http.MethodPost, client.Path("tokens"), nil, in, &made); err != nil {
			return err
		}
		return c.printMade(made, made.Secret, tokenFields(&made.AccessToken)...)
	})
	cmd.Flags().StringArrayVar(&allow, "allow", nil, "What it is good for, such as pull:team-a/**; several times for more (default: all that you may do)")
	cmd.Flags().StringSliceVar(&in.Scopes, "scope", nil, "What it is good for in the management API, such as robots:read (default: nothing)")
	cmd.Flags().StringSliceVar(&in.From, "from", nil, "Networks that it is accepted from")
	cmd.Flags().StringVar(&expires, "expires", "", "When it ends: a date, a time, a duration such as 90d, or never (default: 30d)")
	return cmd
}

func (t *tool) tokenList() *cobra.Command {
	var user string
	cmd := t.command("list", "Lists access tokens: yours, or everybody's for a key", func(c *call) error {
		q, err := c.tokensOf(user)
		if err != nil {
			return err
		}
		list, err := everything[management.AccessToken](c, client.Path("tokens"), q)
		if err != nil {
			return err
		}
		byName(list, func(a management.AccessToken) string { return a.Owner + " " + a.Name })
		return printList(c, "access tokens", list,
			column[management.AccessToken]{"id", func(a management.AccessToken) string { return a.ID }},
			column[management.AccessToken]{"name", func(a management.AccessToken) string { return a.Name }},
			column[management.AccessToken]{"owner", func(a management.AccessToken) string { return a.Owner }},
			column[management.AccessToken]{"good for", func(a management.AccessToken) string { return limitWords(a.Permissions, " ") }},
			column[management.AccessToken]{"expires", func(a management.AccessToken) string { return instant(a.Expires) }},
			column[management.AccessToken]{"last used", func(a management.AccessToken) string { return usedAt(a.LastUsed) }})
	})
	cmd.Flags().StringVar(&user, "user", "", "Whose: the name or id of a user, * for everybody")
	t.complete(cmd, "user", userNames)
	return cmd
}

func (t *tool) tokenRevoke() *cobra.Command {
	return t.completed(t.command("revoke <token>", "Revokes an access token, by its id or name; it ends at once", func(c *call) error {
		list, err := everything[management.AccessToken](c, client.Path("tokens"), nil)
		if err != nil {
			return err
		}
		id, err := pick(list, "access token", c.args[0], func(a management.AccessToken) (string, string) { return a.ID, a.Name })
		if err != nil {
			return err
		}
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("tokens", id), nil, nil, nil); err != nil {
			return err
		}
		return c.done("access token %s: revoked", id)
	}), tokenNames)
}

// limitWords says what a token is good for at most.
func limitWords(limits *[]management.Permission, between string) string {
	switch {
	case limits == nil:
		return "all that its owner may do"
	case len(*limits) == 0:
		return "nothing in the registry"
	case between == "\n":
		return permissionLines(*limits)
	}
	return permissionWords(*limits)
}

func tokenFields(a *management.AccessToken) []field {
	return []field{
		{"Id", a.ID},
		{"Name", a.Name},
		{"Owner", a.Owner},
		{"Good for", limitWords(a.Permissions, "\n")},
		{"Scopes", words(a.Scopes)},
		{"From", words(a.From)},
		{"Expires", instant(a.Expires)},
		{"Created", instant(&a.Created)},
	}
}

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
