package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// fileVault keeps credentials in a file that only its owner can read.
type fileVault struct{ path string }

func (v fileVault) read() (map[string]login.Stored, error) {
	all := map[string]login.Stored{}
	data, err := os.ReadFile(v.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return nil, err
	}
	if json.Unmarshal(data, &all) != nil || all == nil {
		return nil, fmt.Errorf("%s is damaged: remove it and log in again", v.path)
	}
	return all, nil
}

// change reads, changes and writes the file, one process at a time.
func (v fileVault) change(ctx context.Context, change func(map[string]login.Stored) error) error {
	unlock, err := v.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := v.read()
	if err != nil {
		return err
	}
	if err := change(all); err != nil {
		return err
	}
	data, err := json.MarshalIndent(all, "", "\t") //nolint:gosec // for its owner only
	if err != nil {
		return err
	}
	return login.WriteFile(v.path, append(data, '\n'))
}

// lock waits until no other process changes the file. A lock that was left
// behind is broken.
func (v fileVault) lock(ctx context.Context) (unlock func(), err error) {
	const patience, leftBehind = 10 * time.Second, 30 * time.Second
	if err := os.MkdirAll(filepath.Dir(v.path), 0o700); err != nil {
		return nil, err
	}
	name := v.path + ".lock"
	for deadline := time.Now().Add(patience); ; {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return func() { _ = os.Remove(name) }, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > leftBehind {
			_ = os.Remove(name)
			continue
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is there: another process is changing the credentials", name)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Get implements vault.
func (v fileVault) Get(_ context.Context, server string) (login.Stored, error) {
	all, err := v.read()
	if err != nil {
		return login.Stored{}, err
	}
	s, ok := all[server]
	if !ok {
		return s, login.ErrNotFound
	}
	return s, nil
}

// Store implements vault.
func (v fileVault) Store(ctx context.Context, s login.Stored) error {
	return v.change(ctx, func(all map[string]login.Stored) error {
		all[s.ServerURL] = s
		return nil
	})
}

// Erase implements vault.
func (v fileVault) Erase(ctx context.Context, server string) error {
	if _, err := v.Get(ctx, server); err != nil {
		return err
	}
	return v.change(ctx, func(all map[string]login.Stored) error {
		delete(all, server)
		return nil
	})
}

// List implements vault.
func (v fileVault) List(context.Context) (map[string]string, error) {
	all, err := v.read()
	list := make(map[string]string, len(all))
	for server, s := range all {
		list[server] = s.Username
	}
	return list, err
}
