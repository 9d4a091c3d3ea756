package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// secretService is the Secret Service of Linux desktops, by libsecret's
// secret-tool.
type secretService struct{}

func (secretService) lookup(ctx context.Context, server string) (string, error) {
	out, err := program(ctx, "", "secret-tool", "lookup", "service", label, "server", server)
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 || err == nil && out == "" {
		return "", login.ErrNotFound // it does not say more
	}
	return out, err
}

// Get implements vault.
func (v secretService) Get(ctx context.Context, server string) (login.Stored, error) {
	out, err := v.lookup(ctx, server)
	if err != nil {
		return login.Stored{}, err
	}
	return unpacked(out)
}

// Store implements vault.
func (secretService) Store(ctx context.Context, s login.Stored) error {
	text, err := packed(s)
	if err != nil {
		return err
	}
	_, err = program(ctx, text, "secret-tool", "store", "--label", "Registry "+s.ServerURL, "service", label, "server", s.ServerURL)
	return err
}

// Erase implements vault.
func (v secretService) Erase(ctx context.Context, server string) error {
	if _, err := v.lookup(ctx, server); err != nil {
		return err
	}
	_, err := program(ctx, "", "secret-tool", "clear", "service", label, "server", server)
	return err
}

// List implements vault.
func (v secretService) List(ctx context.Context) (map[string]string, error) {
	out, err := program(ctx, "", "secret-tool", "search", "--all", "service", label)
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	for line := range strings.Lines(out) {
		if text, found := strings.CutPrefix(line, "secret = "); found {
			if s, err := unpacked(text); err == nil {
				list[s.ServerURL] = s.Username
			}
		}
	}
	return list, nil
}
