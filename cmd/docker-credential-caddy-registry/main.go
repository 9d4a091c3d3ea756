// Command docker-credential-caddy-registry keeps docker's logins to a gateway
// in the operating system's store, or in a file that only its owner can read
// where there is none. It speaks the protocol of Docker's credential helpers
// (get, store, erase, list), and logs in with the browser itself:
//
//	docker-credential-caddy-registry login registry.example.com
//	docker-credential-caddy-registry logout registry.example.com
//
// Docker, podman, skopeo, crane, helm and others ask it from then on.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

const usage = `usage: docker-credential-caddy-registry <command>

	get, store, erase, list   what docker calls, on standard input and output
	login <registry>          log in with the browser, and have docker ask here
	logout <registry>         end that login
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, login.ErrNotFound):
		fmt.Println(login.NotFound) // on standard output: docker reads it
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "docker-credential-caddy-registry:", terminal.Error(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command")
	}
	v, err := openVault()
	if err != nil {
		return err
	}
	switch args[0] {
	case "get", "store", "erase", "list":
		return serve(ctx, v, args[0], os.Stdin, os.Stdout)
	case "login", "logout":
		if len(args) != 2 {
			return fmt.Errorf("want %s <registry>", args[0])
		}
		path, err := login.DockerConfigPath()
		if err != nil {
			return err
		}
		if args[0] == "logout" {
			return logOut(ctx, v, path, args[1])
		}
		return logIn(ctx, v, path, args[1])
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown command %.40q", args[0])
}
