package realm

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// managementSecrets are what the placeholders of a management block stand for.
type managementSecrets struct {
	keys      []string
	bootstrap string
}

// resolveManagement resolves the placeholders of the realm's management block.
func (r *Realm) resolveManagement() error {
	for _, k := range r.config.Management.APIKeys {
		value, err := caddyfile.Resolve("api_key "+k.Name, k.Key)
		if err != nil {
			return fmt.Errorf("management: %w", err)
		}
		r.secrets.keys = append(r.secrets.keys, value)
	}
	b := r.config.Management.Bootstrap
	if b == nil {
		return nil
	}
	if err := b.Validate(); err != nil {
		return fmt.Errorf("management: %w", err)
	}
	if b.Secret != "" {
		var err error
		if r.secrets.bootstrap, err = caddyfile.Resolve("bootstrap secret", b.Secret); err != nil {
			return fmt.Errorf("management: %w", err)
		}
	}
	return nil
}

// openManagement makes the operations on the realm's state and, where the
// configuration has a management block, their API.
func (r *Realm) openManagement(run *Running) error {
	var err error
	if run.manager, err = r.newManager(run); err != nil || r.config.Management == nil {
		return err
	}
	o := management.APIOptions{
		Authenticate: func(req *http.Request) (*authn.Principal, error) { return run.Front.Authenticate(req) },
		Remote:       gateway.ClientAddr,
		RequestID:    gateway.RequestID,
		Installation: func(req *http.Request) (export.Input, error) { return r.installation(run, req) },
		Done:         func(outcome string) { managementTotal.WithLabelValues(r.name, outcome).Inc() },
	}
	var config management.BootstrapConfig
	if b := r.config.Management.Bootstrap; b != nil {
		config = *b
	}
	if !config.Off {
		host, _ := os.Hostname()
		run.bootstrap, err = management.NewBootstrap(management.BootstrapOptions{
			Manager: run.manager, Config: config, Secret: r.secrets.bootstrap,
			Directory: filepath.Join(caddy.AppDataDir(), "registry_auth", fileName(r.name)), Host: host,
		})
		if err != nil {
			return err
		}
		o.Bootstrap = run.bootstrap
	}
	run.api, err = management.NewAPI(run.manager, o)
	return err
}

// fileName is a realm's name as the name of a folder.
func fileName(realm string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, realm)
}

// startBootstrap does in the background what a first start has to do.
func (r *Realm) startBootstrap(ctx context.Context, run *Running) {
	if run.bootstrap == nil {
		return
	}
	go func() {
		if err := run.bootstrap.Start(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("bootstrap", zap.String("realm", r.name), zap.Error(err))
		}
	}()
}

// newManager makes the operations.
func (r *Realm) newManager(run *Running) (*management.Manager, error) {
	o := management.Options{
		Config: r.managementConfig(), StaticKeys: r.secrets.keys,
		State: run.state, Policy: r.policy.load, InForce: r.policy.inForce, Declared: r.declared(), RobotPrefixes: r.config.RobotPrefixes, Pool: process.Hashing, Log: r.slog,
		Keys: func() management.SigningKeys { return run.Front.Keys },
	}
	return management.New(o)
}

// declared is what the configuration declares and the store cannot have.
func (r *Realm) declared() management.Declared {
	declared := management.Declared{
		Roles: r.config.Policy.Roles, RobotNames: map[string]string{}, ServiceNetworks: map[string][]string{},
	}
	declared.Mentioned = r.directory.mentions(r.name)
	if h := r.config.IdentityHeaders; h != nil {
		for _, role := range h.RoleValues {
			declared.Mentioned = append(declared.Mentioned, role.Subjects...)
		}
	}
	for _, p := range r.config.Policy.Projects {
		declared.Projects = append(declared.Projects, management.DeclaredProject{Project: p})
	}
	for _, a := range r.authenticators {
		for _, name := range slices.Concat(a.Services, a.ActsAs) {
			declared.RobotNames[name] = a.Name
		}
		for _, login := range a.Logins { // a robot of such a name would take it
			declared.RobotNames[login] = "a user of " + a.Name
		}
		switch a := a.Authenticator.(type) {
		case *authn.Robots:
			for _, robot := range a.Configs() {
				declared.Robots = append(declared.Robots, management.DeclaredRobot{RobotConfig: robot})
			}
		case *authn.ServiceSecrets:
			maps.Copy(declared.ServiceNetworks, a.Networks())
		}
	}
	return declared
}

// managementConfig is the management block; without one there are still the
// operations that pages call.
func (r *Realm) managementConfig() management.Config {
	var c management.Config
	if r.config.Management != nil {
		c = *r.config.Management
	}
	c.NoRoleMappings = c.NoRoleMappings || !r.config.Policy.HasRoleSource("application")
	return c
}
