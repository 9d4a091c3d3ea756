package authn

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// MTLSName is what a realm calls its [MTLS], with a name after a colon where
// there are several.
const MTLSName = "mtls"

// CredentialCertificate is the [Principal.Credential] of a principal with a client
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

// CertificateIdentity says which name in a client certificate is looked at,
// what it must look like, and how its owner is called.
type CertificateIdentity struct {
	// Where the name stands: `spiffe` (the URI of an X.509-SVID), `dns` or
	// `email` (subject alternative names), `common_name`, or `subject` (the
	// distinguished name as in RFC 4514, `CN=ci,O=Corp`).
	Source string `json:"source"`

	// What the name must look like. `*` is a run of characters within one
	// part of the name, that is up to the next `/` of a SPIFFE ID, `.` of a
	// host, `@` of an address or `,` of a subject; `**` is any run. What
	// begins with `^` is a regular expression for the whole name. Default:
	// every name.
	Match string `json:"match,omitempty"`

	// How policies call the owner: text in which `$1` to `$9` are what the
	// wildcards or the groups of the expression stand for. Default: the name
	// in the certificate.
	Name string `json:"name,omitempty"`
}

// certificateSources are the parts of a certificate that may name its owner,
// with what ends a part of the name.
var certificateSources = map[string]string{"spiffe": "/", "dns": ".", "email": "@", "common_name": "/:", "subject": ","}

// certificateRule is a compiled [CertificateIdentity].
type certificateRule struct {
	source  string
	pattern *regexp.Regexp // nil: every name
	name    string
}

// Validate returns what is wrong with the declaration.
func (i CertificateIdentity) Validate() error {
	_, err := i.compile()
	return err
}

func (i CertificateIdentity) compile() (rule certificateRule, err error) {
	separators, known := certificateSources[i.Source]
	if !known {
		return rule, fmt.Errorf("identity %.40q: want spiffe, dns, email, common_name or subject", i.Source)
	}
	rule = certificateRule{source: i.Source, name: i.Name}
	if i.Match != "" {
		if rule.pattern, err = certificatePattern(i.Match, separators); err != nil {
			return rule, fmt.Errorf("identity %s %.120q: %w", i.Source, i.Match, err)
		}
	}
	for _, digit := range references(i.Name) {
		if rule.pattern == nil || digit > rule.pattern.NumSubexp() {
			return rule, fmt.Errorf("identity %s: name %.120q: there is no $%d: the pattern has fewer wildcards", i.Source, i.Name, digit)
		}
	}
	return rule, nil
}

// certificatePattern compiles a pattern with wildcards, or an expression.
func certificatePattern(match, separators string) (*regexp.Regexp, error) {
	if strings.HasPrefix(match, "^") {
		return regexp.Compile(`\A(?:` + match + `)\z`)
	}
	if strings.Contains(match, "***") {
		return nil, fmt.Errorf("has more than two \"*\" in a row")
	}
	part := `([^` + regexp.QuoteMeta(separators) + `]+)`
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i, long := range strings.Split(match, "**") {
		if i > 0 {
			b.WriteString(`(.*)`)
		}
		for j, literal := range strings.Split(long, "*") {
			if j > 0 {
				b.WriteString(part)
			}
			b.WriteString(regexp.QuoteMeta(literal))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// references returns the numbers that a template refers to.
func references(template string) (digits []int) {
	for i := 0; i+1 < len(template); i++ {
		if d := template[i+1]; template[i] == '$' && d >= '1' && d <= '9' {
			digits = append(digits, int(d-'0'))
		}
	}
	return digits
}

// names returns how the rule calls the owner of a certificate, and the name
// that stands there; ok is false if it says nothing about this certificate.
func (r *certificateRule) names(cert *x509.Certificate) (name, found string, ok bool) {
	for _, value := range r.values(cert) {
		if value == "" {
			continue
		}
		if r.pattern == nil {
			return r.expand(value, nil), value, true
		}
		if groups := r.pattern.FindStringSubmatch(value); groups != nil {
			return r.expand(value, groups), value, true
		}
	}
	return "", "", false
}

func (r *certificateRule) expand(value string, groups []string) string {
	if r.name == "" {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(r.name); i++ {
		if r.name[i] == '$' && i+1 < len(r.name) {
			if d := int(r.name[i+1]) - '0'; d >= 1 && d < len(groups) {
				b.WriteString(groups[d])
				i++
				continue
			}
		}
		b.WriteByte(r.name[i])
	}
	return b.String()
}

// values are the names that a certificate has at the rule's source. A wildcard
// certificate names nobody in particular.
func (r *certificateRule) values(cert *x509.Certificate) []string {
	switch r.source {
	case "spiffe":
		// X.509-SVID §2: exactly one URI, or it is no SVID.
		if len(cert.URIs) == 1 && isSPIFFE(cert.URIs[0]) {
			return []string{cert.URIs[0].String()}
		}
	case "dns":
		var hosts []string
		for _, host := range cert.DNSNames {
			if !strings.Contains(host, "*") {
				hosts = append(hosts, strings.ToLower(host))
			}
		}
		return hosts
	case "email":
		return cert.EmailAddresses
	case "common_name":
		return []string{cert.Subject.CommonName}
	case "subject":
		return []string{cert.Subject.String()}
	}
	return nil
}

// spiffeID is the form of a SPIFFE ID.
var spiffeID = regexp.MustCompile(`\Aspiffe://[a-z0-9._-]+(?:/[a-zA-Z0-9._-]+)*\z`)

// isSPIFFE reports whether a URI is a SPIFFE ID (SPIFFE-ID §2): no other
// spelling of a name passes.
func isSPIFFE(u *url.URL) bool {
	text := u.String()
	if !spiffeID.MatchString(text) {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// authorities are public keys of certificate authorities, by the SHA-256 of
// their SubjectPublicKeyInfo (RFC 7469 §2.4). A name would not do: every
// authority can give that of another to an intermediate of its own.
type authorities map[[sha256.Size]byte]bool

// parseAuthorities reads `sha256:<hex>`, or the certificates in a PEM file.
func parseAuthorities(list []string) (authorities, error) {
	keys := authorities{}
	for _, text := range list {
		if encoded, ok := strings.CutPrefix(text, "sha256:"); ok {
			sum, err := hex.DecodeString(encoded)
			if err != nil || len(sum) != sha256.Size {
				return nil, fmt.Errorf("authority %.80q: want sha256: and 64 hexadecimal digits", text)
			}
			keys[[sha256.Size]byte(sum)] = true
			continue
		}
		if !filepath.IsAbs(text) {
			return nil, fmt.Errorf("authority %.80q: want sha256:<hex> or the absolute path of a PEM file", text)
		}
		if err := keys.addFile(text); err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
	}
	return keys, nil
}

func (a authorities) addFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before := len(a)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a[sha256.Sum256(cert.RawSubjectPublicKeyInfo)] = true
	}
	if len(a) == before {
		return errors.New(name + " has no certificates")
	}
	return nil
}

// vouch reports whether one of the ways in which a certificate was verified
// leads through one of the authorities; without any, all do.
func (a authorities) vouch(chains [][]*x509.Certificate) bool {
	if len(a) == 0 {
		return true
	}
	for _, chain := range chains {
		for _, authority := range chain[min(1, len(chain)):] {
			if a[sha256.Sum256(authority.RawSubjectPublicKeyInfo)] {
				return true
			}
		}
	}
	return false
}
