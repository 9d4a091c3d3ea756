package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var certificateNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// clientCertificate makes a certificate, which signs itself: who verified it
// does not matter here.
func clientCertificate(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), Subject: pkix.Name{CommonName: "ci", Organization: []string{"Corp"}},
		NotBefore: certificateNow.Add(-time.Hour), NotAfter: certificateNow.Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func uri(t testing.TB, text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestMTLSNames(t *testing.T) {
	full := func(c *x509.Certificate) {
		c.URIs = []*url.URL{uri(t, "spiffe://corp.example/ns/ci/sa/builder")}
		c.DNSNames = []string{"*.wild.example", "Build-1.CI.example"}
		c.EmailAddresses = []string{"ci@corp.example"}
	}
	for _, test := range []struct {
		name       string
		change     func(*x509.Certificate)
		identities []CertificateIdentity
		want       string // empty: not mine
	}{
		{"spiffe", full, []CertificateIdentity{{Source: "spiffe"}}, "spiffe://corp.example/ns/ci/sa/builder"},
		{"captures", full, []CertificateIdentity{{"spiffe", "spiffe://corp.example/ns/*/sa/*", "k8s-$1-$2"}}, "k8s-ci-builder"},
		{"a wildcard stays in its part", full, []CertificateIdentity{{"spiffe", "spiffe://corp.example/*", "$1"}}, ""},
		{"two wildcards do not", full, []CertificateIdentity{{"spiffe", "spiffe://corp.example/**", "$1"}}, "ns/ci/sa/builder"},
		{"another trust domain", full, []CertificateIdentity{{"spiffe", "spiffe://evil.example/ns/*/sa/*", ""}}, ""},
		{"expression for the whole", full, []CertificateIdentity{{"spiffe", "^spiffe://corp", "x"}}, ""},
		{"expression", full, []CertificateIdentity{{"spiffe", `^spiffe://corp\.example/ns/([a-z]+)/.*`, "ns-$1"}}, "ns-ci"},
		{"dns in lower case, no wildcard certificate", full, []CertificateIdentity{{Source: "dns"}}, "build-1.ci.example"},
		{"dns with a label", full, []CertificateIdentity{{"dns", "*.ci.example", "$1"}}, "build-1"},
		{"email", full, []CertificateIdentity{{"email", "*@corp.example", "$1"}}, "ci"},
		{"common name", full, []CertificateIdentity{{Source: "common_name"}}, "ci"},
		{"subject", full, []CertificateIdentity{{"subject", "CN=*,O=Corp", "$1"}}, "ci"},
		{
			"a subject cannot be completed", func(c *x509.Certificate) { c.Subject.CommonName = "ci,O=Corp" },
			[]CertificateIdentity{{"subject", "CN=ci,O=Corp", ""}},
			"",
		},
		{"order", full, []CertificateIdentity{{"dns", "nothing", ""}, {Source: "email"}, {Source: "spiffe"}}, "ci@corp.example"},
		{"nothing there", nil, []CertificateIdentity{{Source: "spiffe"}, {Source: "dns"}, {Source: "email"}}, ""},
		{
			"two URIs are no SVID", func(c *x509.Certificate) { c.URIs = []*url.URL{uri(t, "spiffe://a/b"), uri(t, "spiffe://a/c")} },
			[]CertificateIdentity{{Source: "spiffe"}},
			"",
		},
		{"not a SPIFFE ID", func(c *x509.Certificate) { c.URIs = []*url.URL{uri(t, "spiffe://a/b?c")} }, []CertificateIdentity{{Source: "spiffe"}}, ""},
		{"dots in a SPIFFE ID", func(c *x509.Certificate) { c.URIs = []*url.URL{uri(t, "spiffe://a/x/../b")} }, []CertificateIdentity{{Source: "spiffe"}}, ""},
		{"escapes in a SPIFFE ID", func(c *x509.Certificate) { c.URIs = []*url.URL{uri(t, "spiffe://a/x%2Fb")} }, []CertificateIdentity{{Source: "spiffe"}}, ""},
		{"https", func(c *x509.Certificate) { c.URIs = []*url.URL{uri(t, "https://a/b")} }, []CertificateIdentity{{Source: "spiffe"}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := NewMTLS(MTLSConfig{Identities: test.identities}, func() time.Time { return certificateNow })
			if err != nil {
				t.Fatal(err)
			}
			cert := clientCertificate(t, test.change)
			p, err := m.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Certificate: cert}})
			if test.want == "" {
				if !errors.Is(err, ErrNotMine) {
					t.Fatalf("got %v, %v", p, err)
				}
				return
			}
			if err != nil || p.Name != test.want || p.Kind != KindWorkload || p.CredentialID != "abc" || !p.Expires.Equal(cert.NotAfter) {
				t.Fatalf("got %+v, %v", p, err)
			}
		})
	}
}

func TestMTLSRefuses(t *testing.T) {
	ask := func(c MTLSConfig, cert *x509.Certificate, chains [][]*x509.Certificate) error {
		t.Helper()
		m, err := NewMTLS(c, func() time.Time { return certificateNow })
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.AuthenticateAmbient(context.Background(), &Credential{Evidence: &Evidence{Certificate: cert, Chains: chains}})
		return err
	}
	byName := []CertificateIdentity{{Source: "common_name"}}
	named := func(name string) *x509.Certificate {
		return clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = name })
	}
	for _, test := range []struct {
		name string
		kind Kind
		cert *x509.Certificate
		want error
	}{
		{"no certificate", "", nil, ErrNotMine},
		{"outlived", "", clientCertificate(t, func(c *x509.Certificate) { c.NotAfter = certificateNow }), ErrExpired},
		{"not yet", "", clientCertificate(t, func(c *x509.Certificate) { c.NotBefore = certificateNow.Add(time.Minute) }), ErrExpired},
		{"control characters", "", named("a\nb"), ErrInvalid},
		{"too long", "", named(strings.Repeat("a", 300)), ErrInvalid},
		{"no name for a robot", KindRobot, named("Not A Robot"), ErrInvalid},
		{"a robot", KindRobot, named("scanner"), nil},
		{"a user", KindUser, named("Alice"), nil},
	} {
		if err := ask(MTLSConfig{Kind: test.kind, Identities: byName}, test.cert, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}

	// Of two authorities that the server trusts, one counts, by its key.
	leaf := clientCertificate(t, nil)
	good := clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "authority" })
	namesake := clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "authority" })
	sum := sha256.Sum256(good.RawSubjectPublicKeyInfo)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, authority := range []string{"sha256:" + hex.EncodeToString(sum[:]), file} {
		c := MTLSConfig{Identities: byName, Authorities: []string{authority}}
		if err := ask(c, leaf, [][]*x509.Certificate{{leaf, namesake}, {leaf, good}}); err != nil {
			t.Errorf("%.10s: %v", authority, err)
		}
		if err := ask(c, leaf, [][]*x509.Certificate{{leaf, namesake}}); !errors.Is(err, ErrNotMine) {
			t.Errorf("%.10s: another authority of that name: %v", authority, err)
		}
		if err := ask(c, good, [][]*x509.Certificate{{good}}); !errors.Is(err, ErrNotMine) {
			t.Errorf("%.10s: the certificate itself is no authority: %v", authority, err)
		}
	}
}

func TestMTLSConfiguration(t *testing.T) {
	for want, c := range map[string]MTLSConfig{
		"identity is missing":  {},
		"want workload, robot": {Kind: "admin", Identities: []CertificateIdentity{{Source: "dns"}}},
		"want spiffe, dns":     {Identities: []CertificateIdentity{{Source: "serial"}}},
		"there is no $2":       {Identities: []CertificateIdentity{{"dns", "*.x", "$2"}}},
		"there is no $1":       {Identities: []CertificateIdentity{{"dns", "", "$1"}}},
		"more than two":        {Identities: []CertificateIdentity{{"dns", "***", ""}}},
		"missing closing":      {Identities: []CertificateIdentity{{"dns", "^(", ""}}},
		"64 hexadecimal":       {Identities: []CertificateIdentity{{Source: "dns"}}, Authorities: []string{"sha256:00"}},
		"absolute path":        {Identities: []CertificateIdentity{{Source: "dns"}}, Authorities: []string{"ca.pem"}},
		"no such file":         {Identities: []CertificateIdentity{{Source: "dns"}}, Authorities: []string{"/nowhere/ca.pem"}},
	} {
		if _, err := NewMTLS(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
