package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
	"github.com/caddy-registry-auth/caddy-registry-auth/login"
)

// helperName is how docker's configuration calls this program.
const helperName = "caddy-registry"

// prefixVariable says where the gateway's pages are, if not below /auth/.
const prefixVariable = "CADDY_REGISTRY_PREFIX"

// pagesVariable says on which host the gateway's pages are, if not on the
// registry's.
const pagesVariable = "CADDY_REGISTRY_PAGES"

func options(registry string) login.Options {
	return login.Options{
		Registry: registry, ClientID: label, Prefix: os.Getenv(prefixVariable), Pages: os.Getenv(pagesVariable),
		Browser: login.OpenBrowser, Out: os.Stderr,
	}
}

// logIn logs in with the browser, keeps the credential and has docker ask
// here for it.
func logIn(ctx context.Context, v vault, path, registry string) error {
	got, err := login.Login(ctx, options(registry))
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := v.Store(ctx, login.Stored{ServerURL: got.Registry, Username: got.HelperUser(), Secret: got.Secret}); err != nil {
		return fmt.Errorf("keeping the credential: %w", err)
	}
	c, err := login.OpenDockerConfig(path)
	if err != nil {
		return err
	}
	if c.Helper(got.Registry) != helperName {
		if err := c.UseHelper(got.Registry, helperName); err != nil {
			return err
		}
		if err := c.Save(); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "Logged in to %s as %s.\n", got.Registry, got.Username)
	return nil
}

// logOut ends the login there and here.
func logOut(ctx context.Context, v vault, path, registry string) error {
	kept, err := v.Get(ctx, host(registry))
	if err == nil {
		if revoking := login.Revoke(ctx, options(registry), kept.Secret); revoking != nil {
			fmt.Fprintf(os.Stderr, "The gateway could not be told (%v): end the login on its page of devices and sessions.\n", terminal.Error(revoking))
		}
		err = v.Erase(ctx, host(registry))
	}
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return err
	}
	c, opening := login.OpenDockerConfig(path)
	if opening != nil {
		return opening
	}
	if removed, err := c.Remove(host(registry)); err != nil {
		return err
	} else if removed {
		if err := c.Save(); err != nil {
			return err
		}
	}
	if errors.Is(err, login.ErrNotFound) {
		fmt.Fprintf(os.Stderr, "Not logged in to %s.\n", registry)
		return nil
	}
	fmt.Fprintf(os.Stderr, "Logged out of %s.\n", registry)
	return nil
}
