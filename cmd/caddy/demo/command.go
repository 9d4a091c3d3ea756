package demo

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Usage: "[--listen <addr>] [--provider <addr>] [--data <dir>]",
		Short: "Runs the registry gateway with a registry and an OpenID provider to try it",
		Long: `
Starts Caddy with the registry_auth plugin, a container registry behind it and
an OpenID provider beside it, all in this process, and prints the Caddyfile it
uses and lines to paste that show what is let through and what is refused.

It reads and writes no configuration of yours. Ctrl-C stops it and removes
everything except --data. It is never for production: the passwords are known.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Flags().String("listen", "127.0.0.1:5000", "Loopback address of the gateway")
			cmd.Flags().String("provider", "127.0.0.1:5001", "Loopback address of the OpenID provider")
			cmd.Flags().String("data", "", "Folder to keep the registry's data in (default: a temporary one)")
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(run)
		},
	})
}

// run is the command. Caddy's own signal handling would end the process
// without cleaning up.
func run(flags caddycmd.Flags) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d, err := Start(ctx, Options{
		Listen: flags.String("listen"), Provider: flags.String("provider"), Data: flags.String("data"),
	})
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if err := d.Print(os.Stdout); err == nil {
		<-ctx.Done()
	}
	stop() // a second Ctrl-C ends the process at once
	if err := d.Close(); err != nil {
		return caddy.ExitCodeFailedQuit, err
	}
	return caddy.ExitCodeSuccess, nil
}
