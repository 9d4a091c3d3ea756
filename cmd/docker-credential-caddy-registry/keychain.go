package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// keychain is the keychain of macOS, by its program security.
type keychain struct{}

// Get implements vault.
func (keychain) Get(ctx context.Context, server string) (login.Stored, error) {
	out, err := program(ctx, "", "security", "find-generic-password", "-s", label, "-a", server, "-w")
	const notFound = 44 // errSecItemNotFound
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == notFound {
		return login.Stored{}, login.ErrNotFound
	}
	if err != nil {
		return login.Stored{}, err
	}
	return unpacked(out)
}

// Store implements vault. The command goes over standard input, where others
// cannot see the secret.
func (keychain) Store(ctx context.Context, s login.Stored) error {
	text, err := packed(s)
	if err != nil {
		return err
	}
	if strings.ContainsAny(s.ServerURL, " \t\r\n\"'\\") {
		return fmt.Errorf("%.100q is no registry", s.ServerURL)
	}
	_, err = program(ctx, "add-generic-password -U -s "+label+" -a "+s.ServerURL+" -w "+text+"\n", "security", "-i")
	return err
}

// Erase implements vault.
func (v keychain) Erase(ctx context.Context, server string) error {
	if _, err := v.Get(ctx, server); err != nil {
		return err
	}
	_, err := program(ctx, "", "security", "delete-generic-password", "-s", label, "-a", server)
	return err
}

// List implements vault: security tells no list of its own, and docker asks
// for each registry by name.
func (keychain) List(context.Context) (map[string]string, error) { return map[string]string{}, nil }
