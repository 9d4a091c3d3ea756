package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var projects = resource[management.Project]{
	path: "projects", one: "project", many: "projects", fields: projectFields,
	columns: []column[management.Project]{
		{"name", func(p management.Project) string { return p.Name }},
		{"patterns", func(p management.Project) string { return words(p.Patterns) }},
		{"members", func(p management.Project) string { return fmt.Sprint(len(p.Members)) }},
		{"read-only", func(p management.Project) string { return yes(p.ReadOnly, "yes") }},
		{"source", func(p management.Project) string { return sourceOf(p.Source, p.Superseded) }},
	},
}

func projectCommand(t *tool) *cobra.Command {
	return group("project", "Manages projects and their members", `
A project is a set of repositories with its members and rules.

	caddy registry-auth project create team-a --member group:team-a=developer
	caddy registry-auth project add-member team-a user:alice maintainer`,
		t.projectCreate(), projects.list(t, "Lists the projects that you manage", nil),
		projects.show(t, "show <name>", "Shows a project and its members"),
		projects.remove(t, "delete <name>", "Deletes a project that has no robots", "deleted"), t.memberAdd(), t.memberRemove())
}

func (t *tool) projectCreate() *cobra.Command {
	var in management.NewProject
	var members []string
	cmd := t.command("create <name>", "Makes a project", func(c *call) error {
		in.Name = c.args[0]
		if in.Patterns == nil {
			in.Patterns = []string{in.Name + "/**"}
		}
		for _, text := range members {
			subject, role, ok := cutLast(text, "=")
			if !ok {
				return fmt.Errorf("--member %.80q: want a subject and a role, such as user:alice=developer", text)
			}
			in.Members = append(in.Members, management.Member{Subject: subject, MemberInput: management.MemberInput{Role: role}})
		}
		var made management.Project
		if err := c.Do(c.ctx, http.MethodPost, client.Path("projects"), nil, in, &made); err != nil {
			return err
		}
		return c.show(made, projectFields(&made)...)
	})
	cmd.Flags().StringSliceVar(&in.Patterns, "pattern", nil, "Repositories that belong to it (default: all below its name)")
	cmd.Flags().StringVar(&in.Description, "description", "", "What it is for")
	cmd.Flags().StringArrayVar(&members, "member", nil, "Who has which role in it, such as group:team-a=developer; several times for more")
	cmd.Flags().StringSliceVar(&in.Immutable, "immutable", nil, "Tags that can neither be moved nor deleted once they exist")
	cmd.Flags().BoolVar(&in.ReadOnly, "read-only", false, "Refuse everything that writes")
	return cmd
}

// cutLast cuts at the last separator: claims have some in their names.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

func projectFields(p *management.Project) []field {
	var members []string
	for _, m := range p.Members {
		members = append(members, memberText(m))
	}
	return []field{
		{"Name", p.Name},
		{"Description", p.Description},
		{"Patterns", words(p.Patterns)},
		{"Members", strings.Join(members, "\n")},
		{"Immutable", words(p.Immutable)},
		{"Read-only", yes(p.ReadOnly, "yes")},
		{"Source", p.Source},
	}
}

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
	return projects.completed(t, cmd)
}

func (t *tool) memberRemove() *cobra.Command {
	return projects.completed(t, t.command("remove-member <project> <subject>", "Takes somebody's rights in a project away", func(c *call) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("projects", c.args[0], "members", c.args[1]), nil, nil, nil); err != nil {
			return err
		}
		return c.done("project %s: %s removed", c.args[0], c.args[1])
	}))
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
