package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// label is what our entries are found by.
const label = "docker-credential-caddy-registry"

// patience is how long the operating system may take; it may ask for a
// password.
const patience = time.Minute

// program runs a program of the operating system. Secrets go over its standard
// input and output: arguments can be seen by others.
func program(ctx context.Context, in, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(in)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return out.String(), nil
}

// packed is how a credential stands in stores that keep one text: base64, as
// not all of them take every character.
func packed(s login.Stored) (string, error) {
	raw, err := json.Marshal(s)
	return base64.StdEncoding.EncodeToString(raw), err
}

func unpacked(text string) (s login.Stored, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || json.Unmarshal(raw, &s) != nil {
		return s, errors.New("the entry in the operating system's store is damaged: log in again")
	}
	return s, nil
}

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

// helperVault is another credential helper.
type helperVault string

// Get implements vault.
func (v helperVault) Get(ctx context.Context, server string) (login.Stored, error) {
	out, err := login.CallHelper(ctx, string(v), "get", []byte(server))
	var s login.Stored
	if err == nil && json.Unmarshal(out, &s) != nil {
		err = fmt.Errorf("docker-credential-%s: the answer is not JSON", string(v))
	}
	return s, err
}

// Store implements vault.
func (v helperVault) Store(ctx context.Context, s login.Stored) error {
	in, err := json.Marshal(s)
	if err == nil {
		_, err = login.CallHelper(ctx, string(v), "store", in)
	}
	return err
}

// Erase implements vault.
func (v helperVault) Erase(ctx context.Context, server string) error {
	_, err := login.CallHelper(ctx, string(v), "erase", []byte(server))
	return err
}

// List implements vault.
func (v helperVault) List(ctx context.Context) (map[string]string, error) {
	out, err := login.CallHelper(ctx, string(v), "list", nil)
	list := map[string]string{}
	if err == nil && json.Unmarshal(out, &list) != nil {
		err = fmt.Errorf("docker-credential-%s: the answer is not JSON", string(v))
	}
	return list, err
}
