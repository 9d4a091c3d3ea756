package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// storeVariable chooses where credentials are kept: "secret-service",
// "keychain", "file", or "helper:NAME" for docker-credential-NAME.
const storeVariable = "CADDY_REGISTRY_STORE"

// openVault returns the operating system's store with the file behind it.
func openVault() (vault, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, err
	}
	file := fileVault{path: filepath.Join(dir, "caddy-registry", "credentials.json")}
	name := os.Getenv(storeVariable)
	if name == "file" {
		return file, nil
	}
	system, err := systemVault(name)
	switch {
	case err != nil:
		return nil, err
	case system == nil:
		return file, nil
	case name != "":
		return system, nil
	}
	return layered{system, file}, nil
}

// systemVault returns the store of the operating system, nil if there is none.
func systemVault(name string) (vault, error) {
	const helper = "helper:"
	if len(name) > len(helper) && name[:len(helper)] == helper {
		return helperVault(name[len(helper):]), nil
	}
	switch name {
	case "":
	case "secret-service":
		return secretService{}, nil
	case "keychain":
		return keychain{}, nil
	default:
		return nil, fmt.Errorf("%s=%.40q: want secret-service, keychain, file or helper:NAME", storeVariable, name)
	}
	has := func(program string) bool { _, err := exec.LookPath(program); return err == nil }
	switch {
	case runtime.GOOS == "windows" && has("docker-credential-wincred"):
		return helperVault("wincred"), nil
	case runtime.GOOS == "darwin" && has("docker-credential-osxkeychain"):
		return helperVault("osxkeychain"), nil
	case runtime.GOOS == "darwin" && has("security"):
		return keychain{}, nil
	case os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" && has("secret-tool"):
		return secretService{}, nil
	}
	return nil, nil
}

// layered keeps in the first that can, and finds in both: a terminal without
// a desktop must find what was kept within one, and the other way round where
// that is possible.
type layered struct{ system, file vault }

func (l layered) Get(ctx context.Context, server string) (login.Stored, error) {
	s, err := l.system.Get(ctx, server)
	if err == nil {
		return s, nil
	}
	kept, inFile := l.file.Get(ctx, server)
	if inFile == nil {
		return kept, nil
	}
	return s, err
}

func (l layered) Store(ctx context.Context, s login.Stored) error {
	if err := l.system.Store(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "docker-credential-caddy-registry: kept in a file, since", err)
		return l.file.Store(ctx, s)
	}
	if err := l.file.Erase(ctx, s.ServerURL); err != nil && !errors.Is(err, login.ErrNotFound) {
		return err
	}
	return nil
}

func (l layered) Erase(ctx context.Context, server string) error {
	inSystem, inFile := l.system.Erase(ctx, server), l.file.Erase(ctx, server)
	switch {
	case inSystem == nil || inFile == nil && errors.Is(inSystem, login.ErrNotFound):
		return nil
	case errors.Is(inSystem, login.ErrNotFound):
		return inFile
	}
	return inSystem
}

func (l layered) List(ctx context.Context) (map[string]string, error) {
	list, err := l.file.List(ctx)
	if err != nil {
		return nil, err
	}
	more, err := l.system.List(ctx)
	if err != nil {
		return list, nil //nolint:nilerr // what is in the file is there
	}
	for server, user := range list {
		more[server] = user
	}
	return more, nil
}
