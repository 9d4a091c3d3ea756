package authn

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
)

// CredentialServiceSecret is the [Principal.Credential] of a service.
const CredentialServiceSecret = "service_secret"

// ServiceSecrets authenticates companion services by the secrets that they
// show in a scheme of their own, so that no client takes them for passwords.
// It is safe for concurrent use.
type ServiceSecrets struct {
	services []*service
}

// service is a compiled [ServiceSecretConfig].
type service struct {
	name    string
	from    []netip.Prefix
	secrets []serviceSecret
}

type serviceSecret struct {
	hash      Hash
	principal Principal // who shows this secret
}

// add adds a secret. Its public name is that of a secret of ours, or else the
// beginning of its digest, from which nobody finds 32 random characters.
func (s *service) add(h Hash, limits []Limit) {
	id := h.ID()
	if fixed, ok := h.(*sha256Hash); ok && id == "" {
		id = hex.EncodeToString(fixed.sum[:6])
	}
	s.secrets = append(s.secrets, serviceSecret{hash: h, principal: Principal{
		Kind: KindRobot, Name: s.name, Authenticator: ServiceSecretsName,
		Credential: CredentialServiceSecret, CredentialID: id, Limits: limits,
	}})
}

// NewServiceSecrets makes the authenticator. Errors name the service and the
// field, never a secret.
func NewServiceSecrets(list []ServiceSecretConfig) (*ServiceSecrets, error) {
	a := &ServiceSecrets{}
	seen := map[string]string{}
	for _, c := range list {
		s, err := c.compile()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(a.services, func(o *service) bool { return o.name == s.name }) {
			return nil, fmt.Errorf("service_secret %s: declared twice", s.name)
		}
		for i := range s.secrets {
			stored := hex.EncodeToString(sumOf(s.secrets[i].hash))
			if other, taken := seen[stored]; taken {
				return nil, fmt.Errorf("service_secret %s: secret: is also that of %s", s.name, other)
			}
			seen[stored] = s.name
		}
		a.services = append(a.services, s)
	}
	return a, nil
}

// Facts implements [Described].
func (a *ServiceSecrets) Facts() Facts {
	f := Facts{Name: ServiceSecretsName}
	for _, s := range a.services {
		f.Services = append(f.Services, s.name)
	}
	return f
}

// Networks are from where each service is accepted.
func (a *ServiceSecrets) Networks() map[string][]string {
	networks := make(map[string][]string, len(a.services))
	for _, s := range a.services {
		for _, p := range s.from {
			networks[s.name] = append(networks[s.name], p.String())
		}
	}
	return networks
}

func sumOf(h Hash) []byte {
	if fixed, ok := h.(*sha256Hash); ok {
		return fixed.sum[:]
	}
	return nil
}

// OwnsScheme implements [SchemeOwner].
func (a *ServiceSecrets) OwnsScheme(s Scheme) bool { return s == SchemeRegistrySecret }

// Authenticate implements [Authenticator]. It owns every secret of its scheme.
// All that are configured are compared, so that the time tells nothing.
func (a *ServiceSecrets) Authenticate(_ context.Context, c *Credential) (*Principal, error) {
	if c.Scheme != SchemeRegistrySecret {
		return nil, ErrNotMine
	}
	var owner *service
	var found *serviceSecret
	for _, s := range a.services {
		for i := range s.secrets {
			if s.secrets[i].hash.Matches(c.Secret) {
				owner, found = s, &s.secrets[i]
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no service has this secret", ErrInvalid)
	}
	if err := owner.admits(c.Remote); err != nil {
		return nil, err
	}
	return &found.principal, nil
}

// Recheck implements [Rechecker]: the service must still have the secret and
// be where it may be.
func (a *ServiceSecrets) Recheck(p *Principal, c *Credential) error {
	for _, s := range a.services {
		if s.name != p.Name || p.Kind != KindRobot {
			continue
		}
		if p.OriginID != "" && !slices.ContainsFunc(s.secrets, func(secret serviceSecret) bool { return secret.principal.CredentialID == p.OriginID }) {
			return fmt.Errorf("%w: service %s does not have this secret any more", ErrDisabled, p.Name)
		}
		return s.admits(c.Remote)
	}
	return fmt.Errorf("%w: service %.128s does not exist any more", ErrDisabled, p.Name)
}

func (s *service) admits(remote netip.Addr) error {
	remote = remote.Unmap().WithZone("")
	if !slices.ContainsFunc(s.from, func(p netip.Prefix) bool { return p.Contains(remote) }) {
		return fmt.Errorf("%w: service %s from %s", ErrForbiddenSource, s.name, remote)
	}
	return nil
}
