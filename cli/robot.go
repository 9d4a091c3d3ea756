package cli

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func robotCommand(t *tool) *cobra.Command {
	return group("robot", "Manages robots", `
Robots are for machines. A robot of a project has the project and + before its
name.

	caddy registry-auth robot create team-a+ci --allow pull,push:team-a/** --expires 90d
	caddy registry-auth robot rotate team-a+ci --overlap 1h`,
		t.robotCreate(), t.robotList(), t.robotShow(), t.robotRotate(),
		t.robotSwitch("disable", "Disables a robot; registry tokens that it has end at once", true),
		t.robotSwitch("enable", "Enables a robot again", false), t.robotDelete())
}

func (t *tool) robotList() *cobra.Command {
	q := url.Values{}
	var project, text string
	cmd := t.command("list", "Lists robots", func(c *call) error {
		set(q, "project", project)
		set(q, "q", text)
		list, err := everything[management.Robot](c, client.Path("robots"), q)
		if err != nil {
			return err
		}
		return printList(c, "robots", list,
			column[management.Robot]{"name", func(r management.Robot) string { return r.Name }},
			column[management.Robot]{"state", robotState},
			column[management.Robot]{"may", func(r management.Robot) string { return permissionWords(r.Permissions) }},
			column[management.Robot]{"expires", func(r management.Robot) string { return instant(r.Expires) }},
			column[management.Robot]{"last used", func(r management.Robot) string { return usedAt(r.LastUsed) }},
			column[management.Robot]{"source", func(r management.Robot) string { return sourceOf(r.Source, r.Superseded) }})
	})
	cmd.Flags().StringVar(&project, "project", "", "Only the robots of this project")
	cmd.Flags().StringVar(&text, "search", "", "Only those with this text in name or description")
	t.complete(cmd, "project", projectNames)
	return cmd
}

func (t *tool) robotShow() *cobra.Command {
	return t.completed(t.command("show <name>", "Shows a robot", func(c *call) error {
		r, err := client.Get[management.Robot](c.ctx, c.Client, client.Path("robots", c.args[0]), nil)
		if err != nil {
			return err
		}
		return c.show(r, robotFields(&r)...)
	}), robotNames)
}

func (t *tool) robotSwitch(word, short string, disabled bool) *cobra.Command {
	return t.completed(t.command(word+" <name>", short, func(c *call) error {
		var r management.Robot
		if err := c.Do(c.ctx, http.MethodPatch, client.Path("robots", c.args[0]), nil, map[string]bool{"disabled": disabled}, &r); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(r)
		}
		return c.done("robot %s: %sd", r.Name, word)
	}), robotNames)
}

func (t *tool) robotDelete() *cobra.Command {
	return t.completed(t.command("delete <name>", "Deletes a robot; registry tokens that it has end at once", func(c *call) error {
		if err := c.Do(c.ctx, http.MethodDelete, client.Path("robots", c.args[0]), nil, nil, nil); err != nil {
			return err
		}
		return c.done("robot %s: deleted", c.args[0])
	}), robotNames)
}

func robotState(r management.Robot) string {
	switch {
	case r.SupersededBy != "":
		return "not in force"
	case r.Disabled:
		return "disabled"
	}
	return "enabled"
}

// sourceOf is where something comes from, and what stands in its place.
func sourceOf(source string, s management.Superseded) string {
	if s.SupersededBy != "" {
		return source + ", superseded by " + s.SupersededBy
	}
	return source
}

func robotFields(r *management.Robot) []field {
	var secrets []string
	for _, s := range r.Secrets {
		text := s.ID
		if s.ID == "" {
			text = "one that was chosen"
		}
		if s.Created != nil {
			text += ", made " + instant(s.Created)
		}
		if s.Until != nil {
			text += ", good until " + instant(s.Until)
		}
		secrets = append(secrets, text)
	}
	return []field{
		{"Name", r.Name},
		{"Project", r.Project},
		{"Description", r.Description},
		{"State", robotState(*r)},
		{"Logins", words(r.Logins)},
		{"May", permissionLines(r.Permissions)},
		{"From", words(r.From)},
		{"Expires", instant(r.Expires)},
		{"Secrets", strings.Join(secrets, "\n")},
		{"Created", since(r.Created, r.CreatedBy)},
		{"Updated", instant(r.Updated)},
		{"Last used", used(r.LastUsed)},
		{"Source", r.Source},
	}
}
