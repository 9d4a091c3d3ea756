// Package stage sets up the scene that the end-to-end tests play in: a
// gateway in front of a registry with a few images, an identity provider, and
// a cast of people and robots with known rights.
//
// Projects: team and other are private, pub is readable by anyone. People:
// alice maintains team, carol other, mallory pub; bob may pull pub and
// team/app; admin administers everything; dave is refused by his provider.
// Robots: ci may push to team, reader pull from it, janitor delete too; exp
// has expired, dis is disabled, longpw has a password of 72 bytes. The CI jobs
// of the main branch of corp/app may pull from team.
package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// Service is the service name (the audience of registry tokens), Client the
// client id at the identity providers.
const (
	Service = "registry.test"
	Client  = "registry"
)

// Options change the scene. The zero value is a gateway on a free port in
// front of a Distribution 2.
type Options struct {
	// Listen is the gateway's address, default a free port of 127.0.0.1.
	Listen string
	// Kind is the registry to start, unless Upstream is the base URL of one.
	Kind     upstream.Kind
	Upstream string
	// Registry says how it is started.
	Registry upstream.Options
	// Record puts a recorder between gateway and registry.
	Record bool
	// Dialect puts a guard between the two that asks for a login; GUARD in
	// UpstreamAuth is its address.
	Dialect *upstream.Dialect
	// Issuer takes the place of the stage's own first provider. People can
	// then log in only with what that one issues.
	Issuer string
	// Token are further lines for the token block.
	Token string
	// UpstreamAuth is the argument of upstream_auth; empty: basic, with a
	// name and password that open registries ignore.
	UpstreamAuth string
	// Realm are further lines for the registry_auth block, before the policy,
	// and Env variables ("NAME=value") for the placeholders in them.
	Realm string
	Env   []string
	// Managed adds what changes at run time: see managed.go. NoIdentityTokens
	// is a managed stage that gives and takes none.
	Managed, NoIdentityTokens bool
	// Public is the public_url, the stage's own URL if it is empty.
	Public string
	// Servers are further lines for the global options of servers.
	Servers string
	// Broken makes the second provider faulty from the start.
	Broken func(http.ResponseWriter, *http.Request) bool
}

// Stage is the scene, set up.
type Stage struct {
	// URL is the gateway's base address, Addr its host and port.
	URL, Addr string
	// Gateway, IdP and SecondIdP are what runs; users are known to IdP only.
	// CI issues the tokens of CI jobs.
	Gateway   *gateway.Gateway
	IdP       *idp.Hostile
	SecondIdP *idp.Hostile
	CI        *idp.Hostile
	// Recorder sits before the registry; nil unless asked for.
	Recorder *upstream.Recorder
	// Guard asks the gateway for a login; nil unless asked for.
	Guard *upstream.Guard
	// Direct speaks to the registry without the gateway.
	Direct *upstream.Client
	// Images are the seeded ones, by "repository:tag".
	Images map[string]*upstream.Image
	// Robots are the robots by name.
	Robots map[string]*Robot
	// BootstrapSecret makes the first administrator of a managed stage, once.
	BootstrapSecret string

	options Options
	dir     string
	stops   []func() error
}

// Start sets the scene up.
func Start(ctx context.Context, o Options) (*Stage, error) {
	dir, err := os.MkdirTemp("", "stage-")
	if err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	s := &Stage{options: o, dir: dir, Robots: newRobots(), BootstrapSecret: rand.Text() + rand.Text()}
	s.stops = append(s.stops, func() error { return os.RemoveAll(dir) })
	for _, step := range []func(context.Context) error{s.startProviders, s.startUpstream, s.Seed, s.startGateway} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("set the stage: %w", err), s.Stop())
		}
	}
	return s, nil
}

// Reconfigure changes the options of the gateway and reloads it.
func (s *Stage) Reconfigure(ctx context.Context, change func(*Options)) error {
	change(&s.options)
	config, err := s.Config()
	if err != nil {
		return err
	}
	return s.Gateway.Reload(ctx, config)
}

// Stop takes everything down again.
func (s *Stage) Stop() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	s.stops = nil
	return errors.Join(errs...)
}

func (s *Stage) startProviders(context.Context) (err error) {
	if s.IdP, err = idp.StartHostile(); err != nil {
		return err
	}
	s.stops = append(s.stops, s.IdP.Close)
	if s.SecondIdP, err = idp.StartHostile(); err != nil {
		return err
	}
	s.SecondIdP.Break(s.options.Broken)
	s.stops = append(s.stops, s.SecondIdP.Close)
	if s.CI, err = idp.StartHostile(); err != nil {
		return err
	}
	s.stops = append(s.stops, s.CI.Close)
	return nil
}

func (s *Stage) startUpstream(ctx context.Context) error {
	url := s.options.Upstream
	if url == "" {
		kind := s.options.Kind
		if kind.Program == "" {
			kind = upstream.Distribution2
		}
		registry, err := upstream.Start(ctx, kind, filepath.Join(s.dir, "registry"), s.options.Registry)
		if err != nil {
			return err
		}
		s.stops = append(s.stops, registry.Stop)
		url = registry.URL
	}
	s.Direct = &upstream.Client{URL: url}
	var err error
	if s.options.Dialect != nil {
		if s.Guard, err = upstream.StartGuard(url, *s.options.Dialect); err != nil {
			return err
		}
		s.stops = append(s.stops, s.Guard.Close)
		url = s.Guard.URL
	}
	if !s.options.Record {
		return nil
	}
	if s.Recorder, err = upstream.Record(url); err != nil {
		return err
	}
	s.stops = append(s.stops, s.Recorder.Close)
	return nil
}

func (s *Stage) startGateway(ctx context.Context) error {
	s.Addr = s.options.Listen
	if s.Addr == "" {
		port, err := process.FreePort()
		if err != nil {
			return err
		}
		s.Addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	s.URL = "http://" + s.Addr
	config, err := s.Config()
	if err != nil {
		return err
	}
	g, err := gateway.Start(ctx, config)
	if err != nil {
		return err
	}
	s.Gateway = g
	s.stops = append(s.stops, g.Stop)
	return nil
}
