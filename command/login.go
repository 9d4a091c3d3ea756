package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// loginClient is how the command calls itself.
const loginClient = "caddy registry-auth"

func loginCommand() *cobra.Command {
	var o login.Options
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "login <registry>",
		Short: "Logs docker in to a registry, with the browser",
		Long: `
Prints a code and a link, waits until somebody who is signed in has approved
the code in the browser, and keeps what it gets where docker looks for it: with
the credential helper that docker's configuration names, else in its file. No
password is typed in anywhere.

	caddy registry-auth login registry.example.com
	caddy registry-auth login registry.example.com --scope repository:team/**:pull`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			o.Registry, o.ClientID, o.Out = args[0], loginClient, cmd.OutOrStdout()
			if !noBrowser {
				o.Browser = login.OpenBrowser
			}
			path, err := login.DockerConfigPath()
			if err != nil {
				return err
			}
			got, err := login.Login(ctx, o)
			if err != nil {
				return err
			}
			where, err := login.Keep(context.WithoutCancel(ctx), path, got)
			if err != nil {
				return fmt.Errorf("keeping the credential: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Logged in to %s as %s; kept in %s.\n", got.Registry, got.Username, where)
			return err
		},
	}
	loginFlags(cmd, &o)
	cmd.Flags().StringVar(&o.Scope, "scope", "", "What the login is to be good for, such as repository:team/**:pull,push (default: all that you may)")
	cmd.Flags().StringVar(&o.Name, "name", "", "How this machine is called on the page that asks you (default: its host name)")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "Only print the link")
	return cmd
}

func logoutCommand() *cobra.Command {
	var o login.Options
	cmd := &cobra.Command{
		Use:   "logout <registry>",
		Short: "Ends the login to a registry, there and on this machine",
		Long: `
Ends the identity token at the gateway and removes it from docker's
configuration or credential helper.

	caddy registry-auth logout registry.example.com`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Registry, o.ClientID = args[0], loginClient
			path, err := login.DockerConfigPath()
			if err != nil {
				return err
			}
			there, err := login.Logout(cmd.Context(), path, o)
			if err != nil {
				return err
			}
			text := "Logged out of %s.\n"
			if !there {
				text = "Not logged in to %s.\n"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), text, args[0])
			return err
		},
	}
	loginFlags(cmd, &o)
	return cmd
}

func loginFlags(cmd *cobra.Command, o *login.Options) {
	cmd.Flags().StringVar(&o.Pages, "pages", "", "Host of the gateway's pages, if not the registry's")
	cmd.Flags().StringVar(&o.Prefix, "prefix", "/auth/", "Where the gateway's pages are")
}
