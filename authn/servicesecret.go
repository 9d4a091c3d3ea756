package authn

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
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
	id := p.OriginID
	if p.Credential == CredentialServiceSecret {
		id = p.CredentialID
	}
	for _, s := range a.services {
		if s.name != p.Name || p.Kind != KindRobot {
			continue
		}
		if id != "" && !slices.ContainsFunc(s.secrets, func(secret serviceSecret) bool { return secret.principal.CredentialID == id }) {
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

// serviceBody is the most that is read of a service's answer, in bytes.
const serviceBody = 256 << 10

// checkService says whether credentials may be sent to a URL: by TLS, or
// within this machine.
func checkService(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%.120q: want an absolute URL such as https://host/path", raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("URL: want neither a user, nor a query, nor a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (insecure || loopback.Is(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%.120q: anybody between could read the credentials: want https", raw)
	}
	return fmt.Errorf("%.120q: want https", raw)
}

// decodeService reads the one JSON object that a service answers with; with
// strict, fields that are not known are an error.
func decodeService(resp *http.Response, strict bool, to any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, serviceBody+1))
	if err != nil {
		return err
	}
	if len(body) > serviceBody {
		return fmt.Errorf("answer is larger than %d bytes", serviceBody)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("answer: data after the JSON object")
	}
	return nil
}
