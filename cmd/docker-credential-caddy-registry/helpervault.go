package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// helperVault is another credential helper.
type helperVault string

// Get implements vault.
func (v helperVault) Get(ctx context.Context, server string) (login.Stored, error) {
	out, err := login.CallHelper(ctx, string(v), "get", []byte(server))
	if err != nil {
		return login.Stored{}, err
	}
	return login.ParseStored(string(v), out)
}

// Store implements vault.
func (v helperVault) Store(ctx context.Context, s login.Stored) error {
	in, err := json.Marshal(s) //nolint:gosec // for the helper
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
