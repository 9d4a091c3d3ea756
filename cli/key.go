package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var apiKeys = resource[management.Key]{
	path: "keys", one: "key", many: "keys",
	names: func(k management.Key) (string, string) { return k.ID, k.Name },
	order: func(k management.Key) string { return k.Name },
	columns: []column[management.Key]{
		{"id", func(k management.Key) string { return k.ID }},
		{"name", func(k management.Key) string { return k.Name }},
		{"scopes", func(k management.Key) string { return words(k.Scopes) }},
		{"state", keyState},
		{"expires", func(k management.Key) string { return instant(k.Expires) }},
		{"last used", func(k management.Key) string { return usedAt(k.LastUsed) }},
		{"source", func(k management.Key) string { return sourceOf(k.Source, k.Superseded) }},
	},
}

func keyCommand(t *tool) *cobra.Command {
	return group("key", "Manages keys of the management API", `
Keys are for scripts and other machines that manage the gateway. For the keys
that registry tokens are signed with, see keys.

	caddy registry-auth key create terraform --scope robots:write,projects:write --expires 365d --quiet > key.txt`,
		t.keyCreate(), apiKeys.list(t, "Lists keys, those of the configuration included", nil),
		apiKeys.remove(t, "delete <key>", "Deletes a key, by its id or name; it ends at once", "deleted"))
}

func (t *tool) keyCreate() *cobra.Command {
	var in management.KeySettings
	var expires string
	cmd := t.command("create <name>", "Makes a key and prints it", func(c *call) (err error) {
		in.Name = c.args[0]
		if in.Expires, err = c.parseTime("expires", expires); err != nil {
			return err
		}
		if in.Scopes == nil {
			return errors.New("--scope is missing: say what the key is good for, such as robots:write, or * for everything")
		}
		var made management.KeyWithSecret
		if err := c.Do(c.ctx, http.MethodPost, client.Path("keys"), nil, in, &made); err != nil {
			return err
		}
		return c.printMade(made, made.Secret, keyFields(&made.Key)...)
	})
	cmd.Flags().StringSliceVar(&in.Scopes, "scope", nil, "What it is good for: robots:read, robots:write …, or * for everything")
	cmd.Flags().StringSliceVar(&in.From, "from", nil, "Networks that it is accepted from")
	cmd.Flags().StringVar(&expires, "expires", "", "When it ends: a date, a time, or a duration such as 90d (default: never)")
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(scopeWords(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func keyState(k management.Key) string {
	switch {
	case k.Disabled:
		return "disabled"
	case k.Bootstrap:
		return "temporary"
	}
	return "enabled"
}

func keyFields(k *management.Key) []field {
	return []field{
		{"Id", k.ID},
		{"Name", k.Name},
		{"Scopes", words(k.Scopes)},
		{"From", words(k.From)},
		{"Expires", instant(k.Expires)},
		{"Created", since(k.Created, k.CreatedBy)},
	}
}

func scopeWords() []string {
	var list []string
	for _, s := range management.Scopes {
		list = append(list, string(s))
	}
	return list
}
