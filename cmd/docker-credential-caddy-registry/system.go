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
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // names are ours, and there is no shell
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
	raw, err := json.Marshal(s) //nolint:gosec // into the system's store
	return base64.StdEncoding.EncodeToString(raw), err
}

func unpacked(text string) (s login.Stored, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || json.Unmarshal(raw, &s) != nil {
		return s, errors.New("the entry in the operating system's store is damaged: log in again")
	}
	return s, nil
}
