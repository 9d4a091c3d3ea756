// Package demo is the command "caddy demo": the plugin at work in one process,
// in front of an embedded registry and beside an embedded OpenID provider,
// with lines to paste that show what is let through and what is not.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demoidp"
	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demoregistry"
)

// Options say where a demo listens and where it keeps what is pushed.
type Options struct {
	// Listen is the gateway's address, Provider that of the OpenID provider.
	// Both are loopback addresses, because the demo's passwords are known to
	// everybody. Port 0: any.
	Listen, Provider string
	// Data is the folder for the registry's data, which stays there. Empty: a
	// temporary one.
	Data string
}

// Demo is a running demo. There can be one in a process, as there is one Caddy.
type Demo struct {
	Gateway, Provider, Registry string // URLs
	Caddyfile                   string // as loaded
	RobotSecret                 string // made at this start, as is AdminKey
	AdminKey                    string // of the management API

	stops []func() error // in the order of the starts
}

// The demo's cast. Fixed passwords are no loss: they are good on this machine,
// while the demo runs.
const client = "registry"

var people = map[string]demoidp.User{
	"alice": {Password: "alice-password", Claims: map[string]any{"groups": []string{"platform"}}},
	"bob":   {Password: "bob-password", Claims: map[string]any{"groups": []string{"team-a"}}},
}

// Start starts everything and returns when the gateway answers, or with an
// error that names the flag if one can help.
func Start(ctx context.Context, o Options) (_ *Demo, err error) {
	d := new(Demo)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	dir, err := d.folder()
	if err != nil {
		return nil, err
	}
	if o.Data == "" {
		o.Data = filepath.Join(dir, "registry")
	} else if err = os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	// The gateway's address first: it is the one most often taken.
	listen, err := free("--listen", o.Listen)
	if err != nil {
		return nil, err
	}
	d.Gateway = "http://" + listen
	if err = d.startProvider(o.Provider); err != nil {
		return nil, err
	}
	if err = d.startRegistry(ctx, o.Data); err != nil {
		return nil, err
	}
	if err = d.startGateway(listen, filepath.Join(dir, "caddy")); err != nil {
		return nil, err
	}
	return d, nil
}

// folder makes the temporary folder that holds all state of this run.
func (d *Demo) folder() (string, error) {
	dir, err := os.MkdirTemp("", "caddy-registry-auth-demo-")
	if err != nil {
		return "", fmt.Errorf("making a temporary folder: %w", err)
	}
	d.onClose(func() error { return os.RemoveAll(dir) })
	return dir, nil
}

func (d *Demo) startProvider(addr string) error {
	l, err := listen("--provider", addr)
	if err != nil {
		return err
	}
	d.Provider = "http://" + l.Addr().String()
	provider, err := demoidp.New(demoidp.Config{
		Issuer: d.Provider,
		Users:  people,
		Clients: map[string]demoidp.Client{client: {
			PasswordGrant: true, RedirectURIs: []string{d.Gateway + "/auth/callback"}, PostLogoutURIs: []string{d.Gateway + "/auth/signed-out"},
		}},
		// docker login keeps the ID token as its password: let it last.
		Lifetime: time.Hour,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.onClose(serve(l, provider))
	return nil
}

func (d *Demo) startRegistry(ctx context.Context, data string) error {
	registry, err := demoregistry.New(context.WithoutCancel(ctx), data)
	if err != nil {
		return err
	}
	d.onClose(registry.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("embedded registry: %w", err)
	}
	d.Registry = "http://" + l.Addr().String()
	d.onClose(serve(l, registry))
	return demoregistry.Seed(ctx, d.Registry, "public/hello", "latest")
}

func (d *Demo) startGateway(listen, storage string) error {
	secret, stored := authn.NewSecret(authn.SecretRobot)
	d.RobotSecret = secret
	key, keyHash := authn.NewSecret(authn.SecretAPIKey)
	d.AdminKey = key
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	d.Caddyfile = caddyfile{
		Dir: storage, Gateway: d.Gateway, Host: host, Provider: d.Provider, Client: client,
		Registry: d.Registry[len("http://"):], RobotHash: stored, AdminKeyHash: keyHash,
	}.String()
	d.onClose(caddy.Stop)
	return runCaddy(d.Caddyfile)
}

func (d *Demo) onClose(stop func() error) { d.stops = append(d.stops, stop) }

// Close stops everything, the last started first, and removes what is
// temporary. Requests under way get a second.
func (d *Demo) Close() error {
	var errs []error
	for _, stop := range slices.Backward(d.stops) {
		errs = append(errs, stop())
	}
	d.stops = nil
	return errors.Join(errs...)
}
