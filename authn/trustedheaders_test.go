package authn

import (
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func newTrustedHeaders(t *testing.T, c TrustedHeadersConfig) *TrustedHeaders {
	t.Helper()
	a, err := NewTrustedHeaders(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var proxyHeaders = TrustedHeadersConfig{User: "x-auth-user", Email: "X-Auth-Email", Groups: "X-Auth-Groups", Roles: "X-Auth-Roles", Prefix: "sso/"}

func TestTrustedHeaders(t *testing.T) {
	a := newTrustedHeaders(t, proxyHeaders)
	for _, test := range []struct {
		name    string
		header  http.Header
		trusted bool
		want    error
	}{
		{"named", http.Header{"X-Auth-User": {"alice"}}, true, nil},
		{"from somebody else", http.Header{"X-Auth-User": {"alice"}}, false, ErrNotMine},
		{"broken, from somebody else", http.Header{"X-Auth-User": {"alice", "admin"}}, false, ErrNotMine},
		{"not named", http.Header{"X-Auth-Groups": {"dev"}}, true, ErrNotMine},
		{"twice", http.Header{"X-Auth-User": {"alice", "alice"}}, true, ErrInvalid},
		{"groups twice", http.Header{"X-Auth-User": {"alice"}, "X-Auth-Groups": {"dev", "admin"}}, true, ErrInvalid},
		{"empty", http.Header{"X-Auth-User": {""}}, true, ErrInvalid},
		{"blank", http.Header{"X-Auth-User": {" \t"}}, true, ErrInvalid},
		{"control characters", http.Header{"X-Auth-User": {"a\x7fb"}}, true, ErrInvalid},
		{"not UTF-8", http.Header{"X-Auth-User": {"a\xff"}}, true, ErrInvalid},
		{"too long", http.Header{"X-Auth-User": {strings.Repeat("a", 256)}}, true, ErrInvalid},
		{"too many groups", http.Header{"X-Auth-User": {"a"}, "X-Auth-Groups": {strings.Repeat("g,", 5000)}}, true, ErrInvalid},
		{"underscores", http.Header{"X-Auth-User": {"alice"}, "X_auth_user": {"admin"}}, true, ErrInvalid},
		{"underscores alone", http.Header{"X_auth_groups": {"admin"}}, true, ErrInvalid},
		{"dots", http.Header{"X-Auth-User": {"alice"}, "X.auth.roles": {"admin"}}, true, ErrInvalid},
		{"no groups", http.Header{"X-Auth-User": {"alice"}, "X-Auth-Groups": {""}}, true, nil},
	} {
		p, err := a.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Header: test.header, Trusted: test.trusted}})
		if !errors.Is(err, test.want) || (err == nil) != (p != nil && p.Name == "sso/alice") {
			t.Errorf("%s: got %v, %v, want %v", test.name, p, err, test.want)
		}
	}
	p, err := a.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Trusted: true, Header: http.Header{
		"X-Auth-User": {"alice"}, "X-Auth-Email": {"a@example.com"}, "X-Auth-Groups": {"dev, ops,"}, "X-Auth-Roles": {"admin"},
	}}})
	want := &Principal{
		Kind: KindUser, Name: "sso/alice", Groups: []string{"sso/dev", "sso/ops"}, Roles: []string{"sso/admin"},
		Claims: map[string]any{"email": "a@example.com"}, Credential: CredentialHeader,
	}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := a.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "x"}); !errors.Is(err, ErrNotMine) {
		t.Errorf("a password: %v", err)
	}
}

func TestTrustedHeadersTrust(t *testing.T) {
	near, far := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.9.9.9")
	proxy, other := clientCertificate(t, nil), clientCertificate(t, nil)
	other.Subject.CommonName = "somebody"
	byName := []CertificateIdentity{{Source: "common_name", Match: "ci"}}
	for _, test := range []struct {
		name   string
		config TrustedHeadersConfig
		e      Evidence
		want   bool
	}{
		{"a trusted proxy", TrustedHeadersConfig{}, Evidence{Trusted: true, Peer: far}, true},
		{"nobody", TrustedHeadersConfig{}, Evidence{Peer: near, Certificate: proxy}, false},
		{"within from", TrustedHeadersConfig{From: []string{"10.0.0.0/24"}}, Evidence{Trusted: true, Peer: near}, true},
		{"outside of from", TrustedHeadersConfig{From: []string{"10.0.0.0/24"}}, Evidence{Trusted: true, Peer: far}, false},
		{"from alone does not do", TrustedHeadersConfig{From: []string{"10.0.0.0/24"}}, Evidence{Peer: near}, false},
		{"certificate", TrustedHeadersConfig{Certificates: byName}, Evidence{Peer: far, Certificate: proxy}, true},
		{"another certificate", TrustedHeadersConfig{Certificates: byName}, Evidence{Certificate: other}, false},
		{"certificates instead of proxies", TrustedHeadersConfig{Certificates: byName}, Evidence{Trusted: true, Peer: near}, false},
		{"certificates and proxies", TrustedHeadersConfig{Certificates: byName, TrustedProxies: true}, Evidence{Trusted: true, Peer: near}, true},
	} {
		test.config.User = "X-User"
		if got := newTrustedHeaders(t, test.config).Trusts(&test.e); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

// TestHeaderRoles: a role in a header is that of whoever proves himself
// otherwise, for one request.
func TestHeaderRoles(t *testing.T) {
	shared := &Principal{Kind: KindRobot, Name: "ci", Roles: []string{"own"}}
	robots := &stub{principal: shared}
	roles := newTrustedHeaders(t, TrustedHeadersConfig{Roles: "X-Roles"})
	chain := NewChain([]Member{NewMember("robots", robots), NewMember("trusted_headers", roles)}, nil)
	if !chain.WantsEvidence() {
		t.Fatal("nobody looks at the evidence")
	}
	ask := func(scheme Scheme, e *Evidence) (*Principal, error) {
		return chain.Authenticate(t.Context(), &Credential{Scheme: scheme, Username: "ci", Secret: "x", Evidence: e})
	}
	header := http.Header{"X-Roles": {"own,admin"}}
	p, err := ask(SchemeBasic, &Evidence{Header: header, Trusted: true})
	if err != nil || !reflect.DeepEqual(p.HeaderRoles, []string{"own", "admin"}) || p.Name != "ci" {
		t.Errorf("from the proxy: %+v, %v", p, err)
	}
	for name, e := range map[string]*Evidence{"from somebody else": {Header: header}, "without evidence": nil, "without the header": {Trusted: true}} {
		if p, err := ask(SchemeBasic, e); err != nil || p.HeaderRoles != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if shared.HeaderRoles != nil {
		t.Errorf("the shared principal was changed: %q", shared.HeaderRoles)
	}
	if p, err := ask(SchemeNone, &Evidence{Header: header, Trusted: true}); err != nil || p != Anonymous {
		t.Errorf("nobody has roles: %+v, %v", p, err)
	}
	if _, err := ask(SchemeBasic, &Evidence{Header: http.Header{"X-Roles": {"a", "b"}}, Trusted: true}); !errors.Is(err, ErrInvalid) {
		t.Errorf("given twice: %v", err)
	}
}

func TestTrustedHeadersConfiguration(t *testing.T) {
	for want, c := range map[string]TrustedHeadersConfig{
		"user is missing":     {},
		"only roles":          {Roles: "X-Roles", Groups: "X-Groups"},
		"letters, digits":     {User: "X_User"},
		"means something":     {User: "Authorization"},
		"named twice":         {User: "X-User", Email: "x-user"},
		"few printable":       {User: "X-User", Separator: "\n"},
		"want a network":      {User: "X-User", From: []string{"everywhere"}},
		"do not count here":   {User: "X-User", From: []string{"10.0.0.1"}, Certificates: []CertificateIdentity{{Source: "dns", Match: "p"}}},
		"want a pattern":      {User: "X-User", Certificates: []CertificateIdentity{{Source: "dns"}}},
		"no client_certifica": {User: "X-User", Authorities: []string{"/x"}},
	} {
		if _, err := NewTrustedHeaders(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
