package authn

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MTLSName is what a realm calls its [MTLS], with a name after a colon where
// there are several.
const MTLSName = "mtls"

// CredentialCertificate is the [Principal.Credential] of who showed a client
// certificate.
const CredentialCertificate = "client_certificate"

// MTLSConfig says whom client certificates stand for.
type MTLSConfig struct {
	// Tells several of these authenticators in one realm apart. Default: none.
	Name string `json:"name,omitempty"`

	// What a certificate stands for: `workload` (default), `robot` or `user`.
	Kind Kind `json:"kind,omitempty"`

	// Put before the names, so that they cannot be mistaken for those of
	// another authenticator.
	Prefix string `json:"prefix,omitempty"`

	// Where the name of the client stands, in the order of asking: the first
	// that fits decides.
	Identities []CertificateIdentity `json:"identities,omitempty"`

	// The authorities whose certificates count, where the server trusts
	// several: `sha256:` and the hexadecimal SHA-256 of an authority's public
	// key (SubjectPublicKeyInfo), or the absolute path of a PEM file with its
	// certificate. Default: all that the server trusts for clients.
	Authorities []string `json:"authorities,omitempty"`
}

// MTLS authenticates machines by their client certificates, which the server
// has verified (RFC 8446 §4.4.2). It is safe for concurrent use.
type MTLS struct {
	name        string // beside others in the realm
	kind        Kind
	prefix      string
	rules       []certificateRule
	authorities authorities
	now         func() time.Time
}

// NewMTLS makes the authenticator; it reads the files of authorities. now is
// the clock, nil for the real one.
func NewMTLS(c MTLSConfig, now func() time.Time) (*MTLS, error) {
	m := &MTLS{name: c.Name, kind: c.Kind, prefix: c.Prefix, now: now}
	if now == nil {
		m.now = time.Now
	}
	if c.Kind == "" {
		m.kind = KindWorkload
	}
	var err error
	if m.rules, err = c.rules(); err != nil {
		return nil, err
	}
	if m.authorities, err = parseAuthorities(c.Authorities); err != nil {
		return nil, fmt.Errorf("mtls: %w", err)
	}
	return m, nil
}

// Facts implements [Described]. Certificates may stand for people.
func (m *MTLS) Facts() Facts {
	f := Facts{Name: MTLSName, Prefix: m.prefix, People: m.kind == KindUser}
	if m.name != "" {
		f.Name += ":" + m.name
	}
	return f
}

// Validate returns what is wrong with the declaration, without reading files.
func (c MTLSConfig) Validate() error {
	_, err := c.rules()
	return err
}

func (c MTLSConfig) rules() ([]certificateRule, error) {
	switch c.Kind {
	case "", KindWorkload, KindRobot, KindUser:
	default:
		return nil, fmt.Errorf("mtls: kind %.40q: want workload, robot or user", c.Kind)
	}
	if len(c.Identities) == 0 {
		return nil, errors.New("mtls: identity is missing: say which name in the certificate counts, such as `identity spiffe`")
	}
	rules, err := compileIdentities(c.Identities)
	if err != nil {
		return nil, fmt.Errorf("mtls: %w", err)
	}
	return rules, nil
}

func compileIdentities(list []CertificateIdentity) ([]certificateRule, error) {
	var rules []certificateRule
	for _, identity := range list {
		rule, err := identity.compile()
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// Authenticate implements [Authenticator]: nothing in an Authorization header
// is a certificate.
func (m *MTLS) Authenticate(context.Context, *Credential) (*Principal, error) {
	return nil, ErrNotMine
}

// MayBeReused implements [Reusing]: what a certificate says is a name.
func (m *MTLS) MayBeReused(string) bool { return true }

// AuthenticateAmbient implements [Ambient]. A certificate that no rule speaks
// of is not for the registry: it may be that of a proxy.
func (m *MTLS) AuthenticateAmbient(_ context.Context, c *Credential) (*Principal, error) {
	cert := c.Evidence.Certificate
	if cert == nil || !m.authorities.vouch(c.Evidence.Chains) {
		return nil, ErrNotMine
	}
	for i := range m.rules {
		name, found, ok := m.rules[i].names(cert)
		if !ok {
			continue
		}
		name = m.prefix + name
		if err := CheckName(m.kind, name); err != nil {
			return nil, fmt.Errorf("%w: client certificate: %w", ErrInvalid, err)
		}
		// A connection, or a session that is resumed, may outlive it.
		if now := m.now(); now.Before(cert.NotBefore) || !now.Before(cert.NotAfter) {
			return nil, fmt.Errorf("%w: client certificate on %s", ErrExpired, cert.NotAfter.UTC().Format(time.RFC3339))
		}
		return &Principal{
			Kind: m.kind, Name: name, Subject: found, Issued: cert.NotBefore, Expires: cert.NotAfter,
			GroupsUnread: m.kind == KindUser, // certificates do not tell
			Credential:   CredentialCertificate, CredentialID: cert.SerialNumber.Text(16),
		}, nil
	}
	return nil, ErrNotMine
}
