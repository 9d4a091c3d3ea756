package cli

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

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
	return t.completed(cmd, robotNames)
}
