package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func userCommand(t *tool) *cobra.Command {
	return group("user", "Manages the people who have been seen", `
People come from an identity provider; here they are locked out, signed out and
forgotten. A user is named by its name or, where several have it, by its id.

	caddy registry-auth user disable alice`,
		t.userList(), t.userShow(),
		t.userSwitch("disable", "Locks a user out, at once and with all that it has"),
		t.userSwitch("enable", "Lets a user in again"),
		t.userEnd("forget", "Removes all that is known of a user, and all that it has", "forgotten", http.MethodDelete),
		t.userEnd("sign-out", "Ends everything that was issued to a user until now, access tokens too", "signed out everywhere", http.MethodPost))
}

func (t *tool) userList() *cobra.Command {
	var text string
	var disabled bool
	cmd := t.command("list", "Lists the people who have been seen", func(c *call) error {
		q := url.Values{}
		set(q, "q", text)
		set(q, "disabled", yes(disabled, "true"))
		list, err := everything[management.User](c, client.Path("users"), q)
		if err != nil {
			return err
		}
		byName(list, func(u management.User) string { return u.Name })
		return printList(c, "users", list,
			column[management.User]{"id", func(u management.User) string { return u.ID }},
			column[management.User]{"name", func(u management.User) string { return u.Name }},
			column[management.User]{"state", userState},
			column[management.User]{"groups", func(u management.User) string { return words(u.Groups) }},
			column[management.User]{"tokens", func(u management.User) string { return fmt.Sprint(u.Tokens) }},
			column[management.User]{"last seen", func(u management.User) string { return instant(&u.LastSeen) }})
	})
	cmd.Flags().StringVar(&text, "search", "", "Only those with this text in name, address, subject or a group")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "Only those who cannot come in")
	return cmd
}

// userID returns the id of the user that is called by id or name.
func (c *call) userID(called string) (string, error) {
	list, err := everything[management.User](c, client.Path("users"), url.Values{"q": {called}})
	if err != nil {
		return "", err
	}
	return pick(list, "user", called, func(u management.User) (string, string) { return u.ID, u.Name })
}

func (t *tool) userShow() *cobra.Command {
	return t.completed(t.command("show <user>", "Shows a user", func(c *call) error {
		id, err := c.userID(c.args[0])
		if err != nil {
			return err
		}
		u, err := client.Get[management.User](c.ctx, c.Client, client.Path("users", id), nil)
		if err != nil {
			return err
		}
		return c.show(u, userFields(&u)...)
	}), userNames)
}

func (t *tool) userSwitch(word, short string) *cobra.Command {
	return t.completed(t.command(word+" <user>", short, func(c *call) error {
		id, err := c.userID(c.args[0])
		if err != nil {
			return err
		}
		var u management.User
		if err := c.Do(c.ctx, http.MethodPost, client.Path("users", id, word), nil, nil, &u); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(u)
		}
		return c.done("user %s: %sd", u.Name, word)
	}), userNames)
}

func (t *tool) userEnd(word, short, result, method string) *cobra.Command {
	return t.completed(t.command(word+" <user>", short, func(c *call) error {
		id, err := c.userID(c.args[0])
		if err != nil {
			return err
		}
		path := client.Path("users", id)
		if method == http.MethodPost {
			path = client.Path("users", id, word)
		}
		if err := c.Do(c.ctx, method, path, nil, nil, nil); err != nil {
			return err
		}
		return c.done("user %s: %s", c.args[0], result)
	}), userNames)
}

func userState(u management.User) string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.Gone:
		return "gone"
	}
	return "enabled"
}

func userFields(u *management.User) []field {
	return []field{
		{"Id", u.ID},
		{"Name", u.Name},
		{"Email", u.Email},
		{"State", userState(*u)},
		{"Issuer", u.Issuer},
		{"Subject", u.Subject},
		{"Signs in by", u.Authenticator},
		{"Groups", words(u.Groups)},
		{"Roles", words(u.Roles)},
		{"First seen", instant(&u.FirstSeen)},
		{"Last seen", instant(&u.LastSeen)},
		{"Signed out", instant(u.NotBefore)},
		{"Access tokens", fmt.Sprint(u.Tokens)},
		{"Sessions", fmt.Sprint(u.Sessions)},
	}
}
