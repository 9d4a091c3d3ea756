package cli

import (
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func (t *tool) memberAdd() *cobra.Command {
	var in management.MemberInput
	var notAfter string
	cmd := t.command("add-member <project> <subject> [<role>]", "Gives somebody a role in a project, in place of the one that it has there", func(c *call) (err error) {
		switch {
		case len(c.args) == 3 && in.Actions != nil:
			return errors.New("--actions stand in the place of a role: want one of the two")
		case len(c.args) == 3:
			in.Role = c.args[2]
		case in.Actions == nil:
			return errors.New("the role is missing, such as developer; or give --actions")
		}
		if in.NotAfter, err = c.parseTime("not-after", notAfter); err != nil {
			return err
		}
		var made management.Project
		if err := c.Do(c.ctx, http.MethodPut, client.Path("projects", c.args[0], "members", c.args[1]), nil, in, &made); err != nil {
			return err
		}
		return c.show(made, projectFields(&made)...)
	})
	cmd.Flags().StringSliceVar(&in.Actions, "actions", nil, "Actions instead of a role: pull, push, delete, overwrite, list, manage")
	cmd.Flags().StringSliceVar(&in.Tags, "tags", nil, "Restrict push, overwrite and delete to these tags")
	cmd.Flags().StringSliceVar(&in.From, "from", nil, "Networks that it holds for")
	cmd.Flags().StringVar(&in.When, "when", "", "CEL expression that must be true")
	cmd.Flags().StringVar(&notAfter, "not-after", "", "When it ends: a date, a time, or a duration such as 8h (default: never)")
	return t.completed(cmd, projectNames)
}

func (t *tool) memberRemove() *cobra.Command {
	return t.completed(t.command("remove-member <project> <subject>", "Takes somebody's rights in a project away", func(c *call) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("projects", c.args[0], "members", c.args[1]), nil, nil, nil); err != nil {
			return err
		}
		return c.done("project %s: %s removed", c.args[0], c.args[1])
	}), projectNames)
}

// memberText is a member in one line.
func memberText(m management.Member) string {
	text := m.Subject + " " + m.Role
	if m.Role == "" {
		text = m.Subject + " " + strings.Join(m.Actions, ",")
	}
	if len(m.Tags) > 0 {
		text += ", tags " + words(m.Tags)
	}
	if len(m.From) > 0 {
		text += ", from " + words(m.From)
	}
	if m.NotAfter != nil {
		text += ", until " + instant(m.NotAfter)
	}
	if m.When != "" {
		text += ", when " + m.When
	}
	return text
}
