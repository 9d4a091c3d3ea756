// Package cli has the commands that manage a gateway: they call its management
// API, on this machine over Caddy's administration endpoint or anywhere with a
// key.
package cli

import (
	"time"

	"github.com/spf13/cobra"

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
