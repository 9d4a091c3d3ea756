package registryauth

import (
	"errors"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

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
