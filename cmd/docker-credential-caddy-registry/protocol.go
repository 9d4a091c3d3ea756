package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// maxInput bounds what docker may send, in bytes.
const maxInput = 1 << 20

// vault keeps credentials by the registry's host.
type vault interface {
	// Get returns one, or [login.ErrNotFound].
	Get(ctx context.Context, server string) (login.Stored, error)
	Store(ctx context.Context, s login.Stored) error
	// Erase removes one, or returns [login.ErrNotFound].
	Erase(ctx context.Context, server string) error
	// List returns the user names by host.
	List(ctx context.Context) (map[string]string, error)
}

// serve answers one call of docker. Errors never contain what is kept.
func serve(ctx context.Context, v vault, verb string, in io.Reader, out io.Writer) error {
	input, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading standard input: %w", err)
	case len(input) > maxInput:
		return fmt.Errorf("more than %d bytes on standard input", maxInput)
	}
	server := strings.TrimSpace(string(input))
	switch verb {
	case "get":
		if server == "" {
			return errors.New("no server on standard input")
		}
		s, err := v.Get(ctx, host(server))
		if err != nil {
			return err
		}
		s.ServerURL = server
		return json.NewEncoder(out).Encode(s) //nolint:gosec // which is what docker asks for
	case "store":
		var s login.Stored
		if json.Unmarshal(input, &s) != nil || s.ServerURL == "" || s.Username == "" {
			return errors.New("standard input is no credential with ServerURL, Username and Secret")
		}
		s.ServerURL = host(s.ServerURL)
		return v.Store(ctx, s)
	case "erase":
		if server == "" {
			return errors.New("no server on standard input")
		}
		return v.Erase(ctx, host(server))
	}
	list, err := v.List(ctx)
	if err != nil {
		return err
	}
	if list == nil {
		list = map[string]string{}
	}
	return json.NewEncoder(out).Encode(list)
}

// host is what a registry is kept under, however it is written: clients send
// it with or without a scheme.
func host(server string) string {
	for _, scheme := range []string{"https://", "http://"} {
		server = strings.TrimPrefix(server, scheme)
	}
	return strings.TrimRight(server, "/")
}
