// Package cli has the commands that manage a gateway: they call its management
// API, on this machine over Caddy's administration endpoint or anywhere with a
// key.
package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// Options are what the surroundings know.
type Options struct {
	// Admin returns the address of the local Caddy's administration endpoint.
	Admin func() string
	// Getenv reads the environment.
	Getenv func(string) string
	// Now is the clock; nil for the real one.
	Now func() time.Time
	// Version is part of the User-Agent.
	Version string
}

// Commands returns the commands, to be added to a parent.
func Commands(o Options) []*cobra.Command {
	if o.Now == nil {
		o.Now = time.Now
	}
	var list []*cobra.Command
	for _, make := range []func(*tool) *cobra.Command{
		robotCommand, tokenCommand, identityTokenCommand, keyCommand, roleCommand, projectCommand, ownerCommand, userCommand,
		signingCommand, revokeCommand, readOnlyCommand, auditCommand, bootstrapCommand,
		exportCommand, importCommand, migrateCommand, whoAmICommand,
	} {
		t := &tool{Options: o}
		cmd := make(t)
		t.flags(cmd)
		plainErrors(cmd)
		list = append(list, cmd)
	}
	return list
}

// plainErrors makes the errors of a command and all below it fit for a
// terminal: much of them is what a server says.
func plainErrors(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return terminal.Error(run(cmd, args)) }
	}
	for _, c := range cmd.Commands() {
		plainErrors(c)
	}
}

// tool is what the commands share.
type tool struct {
	Options
	connection
	json, quiet bool
}

// group is a command that only has commands.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long}
	cmd.AddCommand(commands...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return unknownWord("command", args[0], names)
	}
	return cmd
}

// command makes a command. Usage is as in "show <name>", with as many
// arguments as it has words in brackets; example comes after the text.
func (t *tool) command(usage, short string, run func(*call) error) *cobra.Command {
	return &cobra.Command{
		Use: usage, Short: short, Args: argumentsOf(usage),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect(cmd, args)
			if err != nil {
				return err
			}
			return run(c)
		},
	}
}

// argumentsOf checks the arguments against the usage: "show <name>",
// "list [<text>]".
func argumentsOf(usage string) cobra.PositionalArgs {
	var names []string
	least := 0
	for _, word := range strings.Fields(usage)[1:] {
		names = append(names, strings.Trim(word, "[]<>"))
		if word[0] == '<' {
			least++
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("the %s is missing: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return fmt.Errorf("%.60q is too much: %s", args[len(names)], cmd.UseLine())
		}
		for i, a := range args {
			if a == "" {
				return fmt.Errorf("the %s is empty", names[i])
			}
		}
		return nil
	}
}

// unknownWord is the error for a word that is none of those known, with the
// nearest of them or, if none is near, all.
func unknownWord(what, word string, known []string) error {
	if near := authz.Nearest(word, known); near != "" {
		return fmt.Errorf("unknown %s %.60q: did you mean %q?", what, word, near)
	}
	return fmt.Errorf("unknown %s %.60q: want one of %s", what, word, strings.Join(known, ", "))
}

// parseTime reads when something ends: a time, a date, how long from now, or
// "never" and nothing for nil.
func (t *tool) parseTime(flag, text string) (*time.Time, error) {
	if text == "" || text == "never" {
		return nil, nil
	}
	if at, err := authn.ParseExpiry(text); err == nil {
		return &at, nil
	}
	d, err := duration.Parse(text)
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("--%s %.40q: want a date such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, a duration such as 90d, or never", flag, text)
	}
	at := t.Now().Add(time.Duration(d)).UTC().Truncate(time.Second)
	return &at, nil
}

// parsePast reads a time that has passed: a time, a date, or how long ago.
func (t *tool) parsePast(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if at, err := authn.ParseExpiry(text); err == nil {
		return at.Format(time.RFC3339), nil
	}
	d, err := duration.Parse(text)
	if err != nil || d <= 0 {
		return "", fmt.Errorf("--%s %.40q: want a date such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or how long ago, such as 24h", flag, text)
	}
	return t.Now().Add(-time.Duration(d)).UTC().Truncate(time.Second).Format(time.RFC3339), nil
}

// The exit statuses of the commands.
const (
	StatusOK          = 0
	StatusRefused     = 1 // not found, not allowed, taken, not valid …
	StatusUsage       = 2 // the command line or a file is wrong; nothing was asked
	StatusUnreachable = 3 // no answer, or the store is away: try again
	StatusDiffers     = 4 // import --dry-run --exit-code: something would change
)

// errDiffers ends a dry run that has printed the differences.
var errDiffers = errors.New("there are differences")

// Status returns the exit status that an error of a command stands for.
func Status(err error) int {
	var refused *client.Error
	var unreachable *client.UnreachableError
	var lookup *lookupError
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, errDiffers):
		return StatusDiffers
	case errors.As(err, &unreachable):
		return StatusUnreachable
	case errors.As(err, &refused):
		if refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests {
			return StatusUnreachable
		}
		return StatusRefused
	case errors.As(err, &lookup):
		return StatusRefused
	}
	return StatusUsage
}

// Silent reports whether an error needs no message: all was printed.
func Silent(err error) bool { return errors.Is(err, errDiffers) }
