package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func signingCommand(t *tool) *cobra.Command {
	return group("keys", "Manages the keys that registry tokens are signed with", `
For keys of the management API, see key.

	caddy registry-auth keys rotate`,
		t.command("list", "Lists the signing keys", func(c *call) error {
			list, err := client.Get[management.SigningKeyList](c.ctx, c.Client, client.Path("signing-keys"), nil)
			if err != nil {
				return err
			}
			return c.printKeys(list)
		}),
		t.command("rotate", "Publishes a new key, which takes over when all had the time to fetch it; tokens stay good", func(c *call) error {
			return c.changeKeys("rotate")
		}),
		t.keysRevoke())
}

func (t *tool) keysRevoke() *cobra.Command {
	var sure bool
	cmd := t.command("revoke", "Replaces all keys at once, after one has leaked: every registry token is refused from now on", func(c *call) error {
		if !sure {
			return errors.New("every registry token would end: say --yes")
		}
		return c.changeKeys("revoke-all")
	})
	cmd.Flags().BoolVar(&sure, "yes", false, "Yes, end every registry token")
	return cmd
}

func (c *call) changeKeys(how string) error {
	var list management.SigningKeyList
	if err := c.Do(c.ctx, http.MethodPost, client.Path("signing-keys", how), nil, nil, &list); err != nil {
		return err
	}
	if c.quiet {
		return nil
	}
	return c.printKeys(list)
}

func (c *call) printKeys(list management.SigningKeyList) error {
	return printList(c, "signing keys", list.Items,
		column[management.SigningKey]{"id", func(k management.SigningKey) string { return k.ID }},
		column[management.SigningKey]{"algorithm", func(k management.SigningKey) string { return k.Algorithm }},
		column[management.SigningKey]{"signs", func(k management.SigningKey) string { return yes(k.Signs, "yes") }},
		column[management.SigningKey]{"from", func(k management.SigningKey) string { return instant(&k.UseFrom) }},
		column[management.SigningKey]{"accepted until", func(k management.SigningKey) string { return instant(k.AcceptedUntil) }})
}
