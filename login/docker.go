package login

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// Keep puts a credential where docker looks for it: with the helper that its
// configuration names, else in its file. It returns where that is.
func Keep(ctx context.Context, path string, k *Credential) (where string, err error) {
	if err := k.check(); err != nil {
		return "", err
	}
	c, err := OpenDockerConfig(path)
	if err != nil {
		return "", err
	}
	if name := c.Helper(k.Registry); name != "" {
		return "docker-credential-" + name, StoreWithHelper(ctx, name, k)
	}
	if err := c.Put(k); err != nil {
		return "", err
	}
	return path, c.Save()
}

// Logout ends the login to a registry: at the gateway, as far as it can be
// reached, and on this machine. It reports whether there was one.
func Logout(ctx context.Context, path string, o Options) (bool, error) {
	there, err := o.logout(ctx, path)
	return there, terminal.Error(err)
}

func (o Options) logout(ctx context.Context, path string) (bool, error) {
	_, host, err := address(ctx, o.Registry)
	if err != nil {
		return false, err
	}
	c, err := OpenDockerConfig(path)
	if err != nil {
		return false, err
	}
	token, there := c.Get(host)
	name := c.Helper(host)
	if name != "" {
		kept, err := GetWithHelper(ctx, name, host)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if err == nil {
			there = true
			if kept.Identity {
				token = kept.Secret
			}
		}
	}
	var unreachable error
	if token != "" {
		unreachable = Revoke(ctx, o, token)
	}
	if name != "" && there {
		if _, err := CallHelper(ctx, name, "erase", []byte(host)); err != nil && !errors.Is(err, ErrNotFound) {
			return there, err
		}
	}
	if removed, err := c.Remove(host); err != nil {
		return there, err
	} else if removed {
		if err := c.Save(); err != nil {
			return there, err
		}
	}
	if unreachable != nil {
		return there, fmt.Errorf("logged out on this machine, but the gateway could not be told (%w): end the login on its page of devices and sessions", unreachable)
	}
	return there, nil
}
