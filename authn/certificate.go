package authn

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

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
