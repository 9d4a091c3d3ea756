package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

var robots = resource[management.Robot]{
	path: "robots", one: "robot", many: "robots", searched: true, fields: robotFields,
	columns: []column[management.Robot]{
		{"name", func(r management.Robot) string { return r.Name }},
		{"state", robotState},
		{"may", func(r management.Robot) string { return permissionWords(r.Permissions) }},
		{"expires", func(r management.Robot) string { return instant(r.Expires) }},
		{"last used", func(r management.Robot) string { return usedAt(r.LastUsed) }},
		{"source", func(r management.Robot) string { return sourceOf(r.Source, r.Superseded) }},
	},
}

func robotCommand(t *tool) *cobra.Command {
	return group("robot", "Manages robots", `
Robots are for machines. A robot of a project has the project and + before its
name.

	caddy registry-auth robot create team-a+ci --allow pull,push:team-a/** --expires 90d
	caddy registry-auth robot rotate team-a+ci --overlap 1h`,
		t.robotCreate(), t.robotList(), robots.show(t, "show <name>", "Shows a robot"), t.robotRotate(),
		robots.change(t, "disable <name>", "Disables a robot; registry tokens that it has end at once", "disabled", http.MethodPatch, "", map[string]bool{"disabled": true}),
		robots.change(t, "enable <name>", "Enables a robot again", "enabled", http.MethodPatch, "", map[string]bool{"disabled": false}),
		robots.remove(t, "delete <name>", "Deletes a robot; registry tokens that it has end at once", "deleted"))
}

func (t *tool) robotList() *cobra.Command {
	var project, text string
	cmd := robots.list(t, "Lists robots", func(*call) (url.Values, error) {
		q := url.Values{}
		set(q, "project", project)
		set(q, "q", text)
		return q, nil
	})
	cmd.Flags().StringVar(&project, "project", "", "Only the robots of this project")
	cmd.Flags().StringVar(&text, "search", "", "Only those with this text in name or description")
	projects.completes(t, cmd, "project")
	return cmd
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

// secretFlags are a secret of the caller's choice.
type secretFlags struct{ hash, file string }

func (f *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.hash, "secret-hash", "", "Hash of the secret, as new-secret and hash-secret print it")
	cmd.Flags().StringVar(&f.file, "secret-file", "", "File with the secret, - for standard input (default: one is made)")
}

func (f *secretFlags) read(c *call) (in management.SecretInput, err error) {
	switch {
	case f.hash != "" && f.file != "":
		return in, errors.New("--secret-hash and --secret-file: want one of the two")
	case f.file == "-" && c.key == "-":
		return in, errors.New("standard input has the key: name a file with --secret-file")
	case f.file != "":
		in.Secret, err = secretFile("the secret", f.file, c.cmd.InOrStdin())
	}
	in.SecretHash = f.hash
	return in, err
}

func (t *tool) robotCreate() *cobra.Command {
	var in management.NewRobot
	var secret secretFlags
	var allow []string
	var expires string
	var replace bool
	cmd := t.command("create <name>", "Makes a robot and prints its secret", func(c *call) (err error) {
		in.Name = c.args[0]
		if in.Permissions, err = parsePermissions(allow); err != nil {
			return err
		}
		if in.Expires, err = c.parseTime("expires", expires); err != nil {
			return err
		}
		if in.SecretInput, err = secret.read(c); err != nil {
			return err
		}
		var made management.RobotWithSecret
		if replace {
			err = c.Do(c.ctx, http.MethodPut, client.Path("robots", in.Name), nil, in.RobotInput, &made)
		} else {
			err = c.Do(c.ctx, http.MethodPost, client.Path("robots"), nil, in, &made)
		}
		if err != nil {
			return err
		}
		return c.printMade(made, made.Secret, robotFields(&made.Robot)...)
	})
	cmd.Flags().StringArrayVar(&allow, "allow", nil, "What it may do, such as pull,push:team-a/**, or catalog; several times for more")
	cmd.Flags().StringVar(&in.Description, "description", "", "What it is for")
	cmd.Flags().StringVar(&expires, "expires", "", "When it ends: a date, a time, or a duration such as 90d (default: never)")
	cmd.Flags().StringSliceVar(&in.From, "from", nil, "Networks that it is accepted from")
	cmd.Flags().BoolVar(&in.Disabled, "disabled", false, "It cannot log in yet")
	cmd.Flags().BoolVar(&replace, "replace", false, "If there is one, replace all that is said of it; it keeps its secret unless one is given")
	secret.add(cmd)
	return cmd
}

func (t *tool) robotRotate() *cobra.Command {
	var secret secretFlags
	var overlap string
	cmd := t.command("rotate <name>", "Gives a robot a new secret; the old one stays good for a day, or as --overlap says", func(c *call) (err error) {
		var in management.Rotation
		if in.SecretInput, err = secret.read(c); err != nil {
			return err
		}
		if overlap != "" {
			d, err := duration.Parse(overlap)
			if err != nil || d < 0 {
				return fmt.Errorf("--overlap %.40q: want a duration such as 1h or 7d, or 0s", overlap)
			}
			seconds := int(time.Duration(d) / time.Second)
			in.Overlap = &seconds
		}
		var made management.RobotWithSecret
		if err := c.Do(c.ctx, http.MethodPost, client.Path("robots", c.args[0], "rotate"), nil, in, &made); err != nil {
			return err
		}
		return c.printMade(made, made.Secret, robotFields(&made.Robot)...)
	})
	cmd.Flags().StringVar(&overlap, "overlap", "", "How long the old secret stays good, such as 1h, or 0s (default: 24h)")
	secret.add(cmd)
	return robots.completed(t, cmd)
}
