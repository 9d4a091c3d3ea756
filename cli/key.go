package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func keyCommand(t *tool) *cobra.Command {
	return group("key", "Manages keys of the management API", `
Keys are for scripts and other machines that manage the gateway. For the keys
that registry tokens are signed with, see keys.

	caddy registry-auth key create terraform --scope robots:write,projects:write --expires 365d --quiet > key.txt`,
		t.keyCreate(), t.keyList(), t.keyDelete())
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

func (t *tool) keyList() *cobra.Command {
	return t.command("list", "Lists keys, those of the configuration included", func(c *call) error {
		list, err := everything[management.Key](c, client.Path("keys"), nil)
		if err != nil {
			return err
		}
		byName(list, func(k management.Key) string { return k.Name })
		return printList(c, "keys", list,
			column[management.Key]{"id", func(k management.Key) string { return k.ID }},
			column[management.Key]{"name", func(k management.Key) string { return k.Name }},
			column[management.Key]{"scopes", func(k management.Key) string { return words(k.Scopes) }},
			column[management.Key]{"state", keyState},
			column[management.Key]{"expires", func(k management.Key) string { return instant(k.Expires) }},
			column[management.Key]{"last used", func(k management.Key) string { return usedAt(k.LastUsed) }},
			column[management.Key]{"source", func(k management.Key) string { return sourceOf(k.Source, k.Superseded) }})
	})
}

func (t *tool) keyDelete() *cobra.Command {
	return t.completed(t.command("delete <key>", "Deletes a key, by its id or name; it ends at once", func(c *call) error {
		list, err := everything[management.Key](c, client.Path("keys"), nil)
		if err != nil {
			return err
		}
		id, err := pick(list, "key", c.args[0], func(k management.Key) (string, string) { return k.ID, k.Name })
		if err != nil {
			return err
		}
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("keys", id), nil, nil, nil); err != nil {
			return err
		}
		return c.done("key %s: deleted", id)
	}), keyNames)
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
