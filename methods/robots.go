package methods

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Robots is the authenticator for the robots that are declared in the
// configuration. In a Caddyfile, `robot` blocks declare them.
type Robots struct {
	Held

	// The robots.
	Robots []authn.RobotConfig `json:"robots,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Robots) CaddyModule() caddy.ModuleInfo {
	return info(authn.RobotsName, func() caddy.Module { return new(Robots) })
}

// Provision resolves the placeholders of the secrets' stored forms.
func (r *Robots) Provision(caddy.Context) (err error) {
	list := slices.Clone(r.Robots)
	for i, robot := range list {
		if list[i].SecretHashes, err = resolveAll("secret_hash", robot.SecretHashes); err != nil {
			return fmt.Errorf("robot %s: %w", robot.Name, err)
		}
	}
	return r.keep(authn.NewRobots(list, process.Hashing, process.Verified, nil))
}

// resolveAll replaces the placeholders of a list in a copy of it.
func resolveAll(name string, list []string) ([]string, error) {
	resolved := slices.Clone(list)
	for i, value := range list {
		var err error
		if resolved[i], err = caddyfile.Resolve(name, value); err != nil {
			return nil, err
		}
	}
	return resolved, nil
}

// ServiceSecrets is the authenticator for companion services that show a
// secret in a scheme of their own. In a Caddyfile, `service_secret` blocks
// declare them.
type ServiceSecrets struct {
	Held

	// The services.
	Services []authn.ServiceSecretConfig `json:"services,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (ServiceSecrets) CaddyModule() caddy.ModuleInfo {
	return info(authn.ServiceSecretsName, func() caddy.Module { return new(ServiceSecrets) })
}

// Provision resolves the placeholders of the secrets.
func (s *ServiceSecrets) Provision(caddy.Context) (err error) {
	list := slices.Clone(s.Services)
	for i, service := range list {
		if list[i].Secrets, err = resolveAll("secret", service.Secrets); err != nil {
			return fmt.Errorf("service_secret %s: %w", service.Name, err)
		}
		if list[i].SecretHashes, err = resolveAll("secret_hash", service.SecretHashes); err != nil {
			return fmt.Errorf("service_secret %s: %w", service.Name, err)
		}
	}
	return s.keep(authn.NewServiceSecrets(list))
}
