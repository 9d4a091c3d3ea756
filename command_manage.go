package registryauth

import (
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/cli"
)

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
