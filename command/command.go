// Package command has `caddy registry-auth` and what is below it.
package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/cli"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "registry-auth",
		Usage: "<command>",
		Short: "Manages the registry gateway, its secrets and policy",
		Long: `
Commands for the registry_auth plugin: make a robot's secret, and the stored
form of a secret or a password for the configuration; explain, list and test what the policy
allows; print what the registry and its clients need to know of the gateway;
manage what is kept at run time, here or on a gateway elsewhere; log docker in.
Secrets are read from standard input, files or the environment, and never from
arguments, which other users of the machine can see.`,
		CobraFunc: addCommands,
	})
}

func addCommands(cmd *cobra.Command) {
	cmd.AddCommand(newSecretCommand(), hashSecretCommand(), hashPasswordCommand(), explainCommand(), policyTestCommand(), whoCanCommand(), exportConfigCommand(), loginCommand(), logoutCommand(), stateCommand())
	for _, c := range managementCommands() {
		cmd.AddCommand(c)
	}
	// Without this a misspelled command prints the help and succeeds, which
	// in a CI job looks like a test that passes.
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
	withStatus(cmd)
}

func newSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new-secret",
		Short: "Makes a new robot secret and its stored form",
		Long: `
Prints a new robot secret on the first line and the form to configure as
secret_hash on the second. The secret is shown only here.

	caddy registry-auth new-secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, stored := authn.NewSecret(authn.SecretRobot)
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", secret, stored)
			return err
		},
	}
}

func hashSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash-secret",
		Short: "Prints the stored form of a secret given on standard input",
		Long: `
Reads one secret, the first line of standard input, and prints the form to
configure as secret_hash: SHA-256 for secrets made by new-secret, which are
random, and argon2id for everything else, which a person may have chosen.

	caddy registry-auth hash-secret < secret.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := readSecret(cmd.InOrStdin())
			if err != nil {
				return err
			}
			stored, err := authn.HashSecret(secret)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), stored)
			return err
		},
	}
}

func hashPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "Prints the argon2id hash of a password given on standard input",
		Long: `
Reads one password, the first line of standard input, and prints its argon2id
hash, to configure as password_hash of a local user.

	caddy registry-auth hash-password < password.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := readSecret(cmd.InOrStdin())
			if err != nil {
				return err
			}
			stored, err := authn.HashNewPassword(password)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), stored)
			return err
		},
	}
}

// maxSecret bounds what is read as a secret, in bytes.
const maxSecret = 4096

func readSecret(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading standard input: %w", err)
	}
	secret := strings.TrimRight(line, "\r\n")
	if secret == "" {
		return "", errors.New("no secret on standard input")
	}
	if len(line) >= maxSecret {
		return "", fmt.Errorf("the secret is longer than %d bytes", maxSecret-1)
	}
	return secret, nil
}

// The exit statuses of the commands that answer a question about the policy.
const (
	exitNo    = 1 // denied, or a test's expectation does not hold
	exitWrong = 2 // the command line, the configuration or a file is wrong
)

// errNo ends a command that has printed its answer, which is no.
var errNo = errors.New("no")

// exitError is an error that decides the exit status.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }

// ExitCode is the status.
func (e *exitError) ExitCode() int { return e.status }

// Unwrap also returns Caddy's own error of this kind, which is how Caddy's
// main function learns of a status above 1. It can be had in one way only.
func (e *exitError) Unwrap() []error {
	status := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return e.status, nil })
	return []error{e.err, status(new(cobra.Command), nil)}
}

// withStatus makes a command end with exitNo after errNo, without a message
// since the answer is one, and with exitWrong after every other error.
func withStatus(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errNo):
			cmd.SilenceErrors = true
			return &exitError{exitNo, err}
		}
		return &exitError{exitWrong, err}
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitWrong, err} })
	return cmd
}

// managementCommands are those that call the management API, on this machine
// over Caddy's administration endpoint.
func managementCommands() []*cobra.Command {
	version, _ := caddy.Version()
	list := cli.Commands(cli.Options{
		Admin:   func() string { return caddy.DefaultAdminListen },
		Getenv:  os.Getenv,
		Version: version,
	})
	for _, cmd := range list {
		withManagementStatus(cmd)
	}
	return list
}

// withManagementStatus makes a command and all below it end with the status
// that its error stands for.
func withManagementStatus(cmd *cobra.Command) {
	fail := func(cmd *cobra.Command, err error) error {
		if err == nil {
			return nil
		}
		cmd.SilenceErrors = cli.Silent(err)
		return &exitError{cli.Status(err), err}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return fail(cmd, run(cmd, args)) }
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return fail(cmd, check(cmd, args)) }
	}
	for _, c := range cmd.Commands() {
		withManagementStatus(c)
	}
}
