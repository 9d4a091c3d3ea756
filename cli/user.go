package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var users = resource[management.User]{
	path: "users", one: "user", many: "users", searched: true, fields: userFields,
	names: func(u management.User) (string, string) { return u.ID, u.Name },
	order: func(u management.User) string { return u.Name },
	columns: []column[management.User]{
		{"id", func(u management.User) string { return u.ID }},
		{"name", func(u management.User) string { return u.Name }},
		{"state", userState},
		{"groups", func(u management.User) string { return words(u.Groups) }},
		{"tokens", func(u management.User) string { return fmt.Sprint(u.Tokens) }},
		{"last seen", func(u management.User) string { return instant(&u.LastSeen) }},
	},
}

func userCommand(t *tool) *cobra.Command {
	var text string
	var disabled bool
	list := users.list(t, "Lists the people who have been seen", func(*call) (url.Values, error) {
		q := url.Values{}
		set(q, "q", text)
		set(q, "disabled", yes(disabled, "true"))
		return q, nil
	})
	list.Flags().StringVar(&text, "search", "", "Only those with this text in name, address, subject or a group")
	list.Flags().BoolVar(&disabled, "disabled", false, "Only those who cannot come in")
	return group("user", "Manages the people who have been seen", `
People come from an identity provider; here they are locked out, signed out and
forgotten. A user is named by its name or, where several have it, by its id.

	caddy registry-auth user disable alice`,
		list, users.show(t, "show <user>", "Shows a user"),
		users.change(t, "disable <user>", "Locks a user out, at once and with all that it has", "disabled", http.MethodPost, "disable", nil),
		users.change(t, "enable <user>", "Lets a user in again", "enabled", http.MethodPost, "enable", nil),
		users.remove(t, "forget <user>", "Removes all that is known of a user, and all that it has", "forgotten"),
		users.change(t, "sign-out <user>", "Ends everything that was issued to a user until now, access tokens too", "signed out everywhere", http.MethodPost, "sign-out", nil))
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
