package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func revokeCommand(t *tool) *cobra.Command {
	cmd := group("revoke", "Ends registry tokens that were issued", `
Whoever still may come in gets new tokens: to keep somebody out, disable the
robot or the user.

	caddy registry-auth revoke principal robot:team-a+ci --reason "runner compromised"`,
		t.command("token <jti>", "Ends one registry token, by the jti that the log has", func(c *call) error {
			return c.revoke(management.RevocationInput{Token: c.args[0]})
		}),
		t.command("principal <principal>", "Ends the registry tokens of user:alice, robot:ci or workload:github", func(c *call) error {
			return c.revoke(management.RevocationInput{Principal: c.args[0]})
		}),
		t.revokeAll())
	cmd.PersistentFlags().String("reason", "", "Why, for people to read")
	return cmd
}

func (t *tool) revokeAll() *cobra.Command {
	var sure bool
	cmd := t.command("all", "Ends all registry tokens of everybody", func(c *call) error {
		if !sure {
			return errors.New("every registry token would end: say --yes")
		}
		return c.revoke(management.RevocationInput{All: true})
	})
	cmd.Flags().BoolVar(&sure, "yes", false, "Yes, end every registry token")
	return cmd
}

func (c *call) revoke(in management.RevocationInput) error {
	in.Reason = c.cmd.Flag("reason").Value.String()
	var made management.Revocation
	if err := c.Do(c.ctx, http.MethodPost, client.Path("revocations"), nil, in, &made); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(made)
	}
	return c.done("%s: what was issued before %s has ended", made.ID, instant(&made.NotBefore))
}
