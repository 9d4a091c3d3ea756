package cli

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var roles = resource[management.RoleMapping]{
	path: "role-mappings", one: "role of", many: "role mappings",
	columns: []column[management.RoleMapping]{
		{"principal", func(r management.RoleMapping) string { return r.Principal }},
		{"role", func(r management.RoleMapping) string { return r.Role }},
		{"patterns", func(r management.RoleMapping) string { return everywhere(r.Patterns) }},
		{"not after", func(r management.RoleMapping) string { return instant(r.NotAfter) }},
		{"name", func(r management.RoleMapping) string { return r.PrincipalName }},
	},
}

func roleCommand(t *tool) *cobra.Command {
	return group("role", "Manages who has which role", `
A principal has one role at most: user:alice, group:dev, role:…, robot:ci,
workload:github or claim:path=value.

	caddy registry-auth role set group:team-a developer --pattern team-a/**
	caddy registry-auth role set user:alice admin --not-after 8h`,
		t.roleSet(), roles.list(t, "Lists who has which role", nil),
		roles.remove(t, "remove <principal>", "Takes the role of a principal away", "removed"))
}

func (t *tool) roleSet() *cobra.Command {
	var in management.RoleMappingInput
	var notAfter string
	cmd := t.command("set <principal> <role>", "Gives a principal a role, in place of the one that it has", func(c *call) (err error) {
		in.Role = c.args[1]
		if in.NotAfter, err = c.parseTime("not-after", notAfter); err != nil {
			return err
		}
		var made management.RoleMapping
		if err := c.Do(c.ctx, http.MethodPut, client.Path("role-mappings", c.args[0]), nil, in, &made); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(made)
		}
		return c.done("%s: %s on %s", made.Principal, made.Role, everywhere(made.Patterns))
	})
	cmd.Flags().StringSliceVar(&in.Patterns, "pattern", nil, "Repositories that it holds for (default: all)")
	cmd.Flags().StringVar(&in.PrincipalName, "name", "", "A name for people to read")
	cmd.Flags().StringVar(&notAfter, "not-after", "", "When it ends: a date, a time, or a duration such as 8h (default: never)")
	return cmd
}

func everywhere(patterns []string) string {
	if len(patterns) == 0 {
		return "everything"
	}
	return words(patterns)
}
