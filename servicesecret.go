package registryauth

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// ServiceSecrets is the authenticator for companion services that show a
// secret in a scheme of their own. In a Caddyfile, `service_secret` blocks
// declare them.
type ServiceSecrets struct {
	// The services.
	Services []authn.ServiceSecretConfig `json:"services,omitempty"`

	*authn.ServiceSecrets `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (ServiceSecrets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.ServiceSecretsName, New: func() caddy.Module { return new(ServiceSecrets) }}
}

// Provision resolves the placeholders of the secrets.
func (s *ServiceSecrets) Provision(caddy.Context) error {
	list := slices.Clone(s.Services)
	for i, service := range list {
		for name, field := range map[string]*[]string{"secret": &list[i].Secrets, "secret_hash": &list[i].SecretHashes} {
			resolved, err := resolveAll(name, *field)
			if err != nil {
				return fmt.Errorf("service_secret %s: %w", service.Name, err)
			}
			*field = resolved
		}
	}
	var err error
	s.ServiceSecrets, err = authn.NewServiceSecrets(list)
	return err
}

// RobotNames are how rules call the services.
func (s *ServiceSecrets) RobotNames() []string {
	names := make([]string, len(s.Services))
	for i, service := range s.Services {
		names[i] = service.Name
	}
	return names
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
