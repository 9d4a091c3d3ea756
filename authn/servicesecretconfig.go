package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ServiceSecretsName is the name by which a [Chain] must know its
// [ServiceSecrets].
const ServiceSecretsName = "service_secret"

// minServiceSecret is how long a secret has to be, in bytes, that was not made
// by us.
const minServiceSecret = 32

// ServiceSecretConfig declares a companion service, such as a scanner or a
// replicator, that shows a secret of its own: `Authorization: Registry-Secret
// <secret>`.
type ServiceSecretConfig struct {
	// The service's name. Rules call it `robot:NAME`.
	Name string `json:"name"`

	// The secrets that it may show, at least 32 characters each. Give two
	// while one is being replaced. Use placeholders.
	Secrets []string `json:"secrets,omitempty"`

	// The stored forms (`sha256:…`) of secrets that `caddy registry-auth
	// new-secret` has made, so that the configuration does not hold them.
	SecretHashes []string `json:"secret_hashes,omitempty"`

	// The client addresses from which it is accepted, as networks in CIDR
	// notation or as single addresses.
	From []string `json:"from"`

	// The most that the secret is good for, whatever rules grant. Default: no
	// bound of its own.
	Limits []Limit `json:"limits,omitempty"`
}

// compile checks a declaration whose placeholders have been resolved. Errors
// never repeat a secret.
func (c ServiceSecretConfig) compile() (*service, error) {
	if err := CheckRobotName(c.Name); err != nil {
		return nil, fmt.Errorf("service_secret: %w", err)
	}
	wrong := func(err error) (*service, error) { return nil, fmt.Errorf("service_secret %s: %w", c.Name, err) }
	from, err := parseSources(c.From)
	if err != nil {
		return wrong(err)
	}
	if len(from) == 0 {
		return wrong(errors.New("from is missing: say from where the service connects"))
	}
	s := &service{name: c.Name, from: from}
	for _, secret := range c.Secrets {
		secret = strings.TrimSpace(secret)
		if err := checkServiceSecret(secret); err != nil {
			return wrong(err)
		}
		sum := digest(secret)
		s.add(&sha256Hash{sum: sum}, c.Limits)
	}
	for _, stored := range c.SecretHashes {
		h, err := ParseHash(strings.TrimSpace(stored))
		if err != nil {
			return wrong(fmt.Errorf("secret_hash: %w", err))
		}
		if h.Slow() {
			return wrong(errors.New("secret_hash: want sha256:…: a service shows its secret with every request, which a slow hash is not made for"))
		}
		s.add(h, c.Limits)
	}
	if len(s.secrets) == 0 {
		return wrong(errors.New("secret is missing"))
	}
	return s, nil
}

// checkServiceSecret refuses what could be guessed, and what cannot stand in a
// header.
func checkServiceSecret(secret string) error {
	if len(secret) < minServiceSecret {
		return fmt.Errorf("secret: want at least %d characters", minServiceSecret)
	}
	if !isServiceSecret(secret) {
		return errors.New("secret: want printable ASCII characters without spaces")
	}
	distinct := map[byte]bool{}
	for i := range len(secret) {
		distinct[secret[i]] = true
	}
	if len(distinct) < 8 {
		return errors.New("secret: has fewer than 8 different characters")
	}
	return nil
}

// isServiceSecret reports whether s is made of visible ASCII characters.
func isServiceSecret(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// parseSources reads a list of networks.
func parseSources(list []string) ([]netip.Prefix, error) {
	var sources []netip.Prefix
	for _, text := range list {
		p, err := ParseSource(text)
		if err != nil {
			return nil, err
		}
		sources = append(sources, p)
	}
	return sources, nil
}
