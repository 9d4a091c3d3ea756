package cli

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func readOnlyCommand(t *tool) *cobra.Command {
	var project string
	path := func() string {
		if project != "" {
			return client.Path("projects", project, "read-only")
		}
		return client.Path("read-only")
	}
	turn := func(word, short string, on bool) *cobra.Command {
		var reason string
		cmd := t.command(word, short, func(c *call) error {
			var r management.ReadOnly
			in := management.ReadOnlyInput{On: on, Reason: reason}
			if err := c.Do(c.ctx, http.MethodPut, path(), nil, in, &r); err != nil {
				return err
			}
			return c.show(r, readOnlyFields(&r)...)
		})
		cmd.Flags().StringVar(&reason, "reason", "", "Why, for people to read")
		return cmd
	}
	cmd := group("read-only", "Switches the registry, or a project, to read-only", `
Everything that writes is refused; logins and pulls go on.

	caddy registry-auth read-only on --reason "storage is being moved"`,
		turn("on", "Refuses everything that writes", true),
		turn("off", "Lets writes through again", false),
		t.command("show", "Shows the switch", func(c *call) error {
			r, err := client.Get[management.ReadOnly](c.ctx, c.Client, path(), nil)
			if err != nil {
				return err
			}
			return c.show(r, readOnlyFields(&r)...)
		}))
	cmd.PersistentFlags().StringVar(&project, "project", "", "A project instead of the whole registry")
	projects.completes(t, cmd, "project")
	return cmd
}

func readOnlyFields(r *management.ReadOnly) []field {
	state := "off"
	if r.On {
		state = "on"
	}
	return []field{{"Read-only", state}, {"Reason", r.Reason}, {"Since", since(r.Since, r.By)}}
}

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
