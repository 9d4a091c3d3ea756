package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var accessTokens = resource[management.AccessToken]{
	path: "tokens", one: "access token", many: "access tokens",
	names: func(a management.AccessToken) (string, string) { return a.ID, a.Name },
	order: func(a management.AccessToken) string { return a.Owner + " " + a.Name },
	columns: []column[management.AccessToken]{
		{"id", func(a management.AccessToken) string { return a.ID }},
		{"name", func(a management.AccessToken) string { return a.Name }},
		{"owner", func(a management.AccessToken) string { return a.Owner }},
		{"good for", func(a management.AccessToken) string { return limitWords(a.Permissions, " ") }},
		{"expires", func(a management.AccessToken) string { return instant(a.Expires) }},
		{"last used", func(a management.AccessToken) string { return usedAt(a.LastUsed) }},
	},
}

func tokenCommand(t *tool) *cobra.Command {
	return group("token", "Manages personal access tokens", `
Personal access tokens are for people. They are made by the person that shows a
token at the gateway: a local administrator can list and revoke them, not make
them.

	caddy registry-auth token create laptop --allow pull:** --address https://registry.example.com --key-file ~/.registry-token
	caddy registry-auth token list --user alice`,
		t.tokenCreate(), tokensOf(t, &accessTokens, "Lists access tokens: yours, or everybody's for a key"),
		accessTokens.remove(t, "revoke <token>", "Revokes an access token, by its id or name; it ends at once", "revoked"))
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

var identityTokens = resource[management.IdentityToken]{
	path: "identity-tokens", one: "docker login", many: "docker logins",
	order: func(i management.IdentityToken) string { return i.Owner + " " + i.Client },
	columns: []column[management.IdentityToken]{
		{"id", func(i management.IdentityToken) string { return i.ID }},
		{"owner", func(i management.IdentityToken) string { return i.Owner }},
		{"client", func(i management.IdentityToken) string { return i.Client }},
		{"from", func(i management.IdentityToken) string { return i.Remote }},
		{"good for", func(i management.IdentityToken) string { return limitWords(i.Permissions, " ") }},
		{"expires", func(i management.IdentityToken) string { return instant(&i.Expires) }},
		{"last used", func(i management.IdentityToken) string { return usedAt(i.LastUsed) }},
	},
}

func identityTokenCommand(t *tool) *cobra.Command {
	return group("identity-token", "Manages docker logins", `
Identity tokens are what docker and other clients keep instead of a password.
They are made by docker login, and by

	caddy registry-auth login registry.example.com

Their owner and administrators see and end them.

	caddy registry-auth identity-token list --user alice`,
		tokensOf(t, &identityTokens, "Lists docker logins: yours, or everybody's for a key"),
		identityTokens.remove(t, "revoke <id>", "Ends a docker login at once: its client has to log in again", "ended"))
}

// tokensOf lists what somebody has: who asks, a user, or everybody.
func tokensOf[V any](t *tool, r *resource[V], short string) *cobra.Command {
	var user string
	cmd := r.list(t, short, func(c *call) (q url.Values, err error) {
		q = url.Values{}
		if user != "" && user != management.Everybody {
			if user, err = users.find(c, user); err != nil {
				return nil, err
			}
		}
		set(q, "user", user)
		return q, nil
	})
	cmd.Flags().StringVar(&user, "user", "", "Whose: the name or id of a user, * for everybody")
	users.completes(t, cmd, "user")
	return cmd
}
