package caddyfile

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// ServiceSecretBlock is what a service_secret block says: how the service
// proves itself, and what it may do.
type ServiceSecretBlock struct {
	authn.ServiceSecretConfig

	// Actions are granted on Repositories, and nothing else is possible with
	// the secret. Without repositories, rules alone say what it may do.
	Actions, Repositories []string
}

// ServiceSecret reads a companion service:
//
//	service_secret <name> {
//		secret       <placeholder...>
//		secret_hash  <hash...>
//		from         <network...>
//		allow        <action...>
//		repositories <pattern...>
//	}
func ServiceSecret(d *caddyfile.Dispenser) (*ServiceSecretBlock, error) {
	b := new(ServiceSecretBlock)
	if !d.AllArgs(&b.Name) {
		return nil, d.ArgErr()
	}
	if err := authn.CheckRobotName(b.Name); err != nil {
		return nil, d.WrapErr(err)
	}
	if err := b.options().Read(d, "service_secret"); err != nil {
		return nil, err
	}
	switch {
	case len(b.Secrets)+len(b.SecretHashes) == 0:
		return nil, d.Errf("service_secret %s: secret is missing", b.Name)
	case len(b.From) == 0:
		return nil, d.Errf("service_secret %s: from is missing: say from where the service connects", b.Name)
	case len(b.Actions) > 0 && len(b.Repositories) == 0:
		return nil, d.Errf("service_secret %s: allow without repositories: say on which, `repositories **` for all", b.Name)
	}
	if len(b.Repositories) > 0 {
		if len(b.Actions) == 0 {
			b.Actions = []string{"pull"}
		}
		b.Actions = authz.TokenActions(b.Actions...).Names()
		for _, pattern := range b.Repositories {
			b.Limits = append(b.Limits, authn.Limit{Type: authz.TypeRepository, Name: pattern, Actions: b.Actions})
		}
		// The catalog has what the service may list, if rules open it at all.
		b.Limits = append(b.Limits, authn.Limit{Type: authz.TypeRegistry, Name: "catalog", Actions: []string{"list"}})
	}
	return b, nil
}

func (b *ServiceSecretBlock) options() Options {
	return Options{
		"secret":       List(&b.Secrets, onlyPlaceholder, AbsoluteFile),
		"secret_hash":  List(&b.SecretHashes, checkSecretHash),
		"from":         List(&b.From, checkSource),
		"allow":        List(&b.Actions, checkAction),
		"repositories": List(&b.Repositories, NoPlaceholder),
	}
}

func onlyPlaceholder(d *caddyfile.Dispenser, name, secret string) error {
	if !strings.Contains(secret, "{") {
		return d.Errf("%s: write a placeholder, {env.NAME} or {file./run/secrets/NAME}: configurations are shown and stored", name)
	}
	return nil
}

// serviceSecret declares a companion service. All of a realm make one
// authenticator, which stands where the first is: a secret that none of them
// has is wrong.
func (p *realmParser) serviceSecret(d *caddyfile.Dispenser) error {
	at := source(d)
	b, err := ServiceSecret(d)
	if err != nil {
		return err
	}
	if p.declared[b.Name] {
		return d.Errf("service_secret %s: there is a robot, or another service, of that name: rules could not tell them apart", b.Name)
	}
	p.declared[b.Name] = true
	if p.services == nil {
		p.servicesAt = len(p.config.AuthenticatorsRaw)
		p.config.AuthenticatorsRaw = append(p.config.AuthenticatorsRaw, nil) // finishServices fills it
	}
	p.services = append(p.services, b.ServiceSecretConfig)
	if len(b.Repositories) > 0 {
		p.config.Policy.Projects = append(p.config.Policy.Projects, authz.Project{
			Name:     "service " + b.Name,
			Patterns: b.Repositories,
			Grants:   []authz.Grant{{Actions: b.Actions, Subjects: []string{"robot:" + b.Name}, Source: at}},
			Source:   at,
		})
	}
	return nil
}

func (p *realmParser) finishServices() error {
	if p.services == nil {
		return nil
	}
	raw, err := json.Marshal(map[string]any{"type": authn.ServiceSecretsName, "services": p.services})
	p.config.AuthenticatorsRaw[p.servicesAt] = raw
	return err
}
