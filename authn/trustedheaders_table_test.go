package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// TestProxiesOfAnAuthority: a certificate with the proxy's name counts if the
// right authority has issued it.
func TestProxiesOfAnAuthority(t *testing.T) {
	proxy := clientCertificate(t, nil)
	good := clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "authority" })
	other := clientCertificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "authority" })
	sum := sha256.Sum256(good.RawSubjectPublicKeyInfo)
	a := newTrustedHeaders(t, TrustedHeadersConfig{User: "X-User", Certificates: []CertificateIdentity{{Source: "common_name", Match: "ci"}}, Authorities: []string{"sha256:" + hex.EncodeToString(sum[:])}})
	for name, test := range map[string]struct {
		chains [][]*x509.Certificate
		want   bool
	}{"of it": {[][]*x509.Certificate{{proxy, good}}, true}, "of another": {[][]*x509.Certificate{{proxy, other}}, false}, "of none": {nil, false}} {
		if got := a.Trusts(&Evidence{Certificate: proxy, Chains: test.chains}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestHeadersThatAreMissingSayNothing, and an empty one says that its list is
// empty.
func TestHeadersThatAreMissingSayNothing(t *testing.T) {
	with, without := newTrustedHeaders(t, proxyHeaders), newTrustedHeaders(t, TrustedHeadersConfig{User: "X-Auth-User", Groups: "X-Auth-Groups"})
	for name, test := range map[string]struct {
		of            *TrustedHeaders
		header        http.Header
		groups, roles bool
	}{
		"both":               {with, http.Header{"X-Auth-Groups": {"a"}, "X-Auth-Roles": {"b"}}, false, false},
		"empty":              {with, http.Header{"X-Auth-Groups": {""}, "X-Auth-Roles": {""}}, false, false},
		"no groups":          {with, http.Header{"X-Auth-Roles": {"b"}}, true, false},
		"no roles":           {with, http.Header{"X-Auth-Groups": {"a"}}, false, true},
		"roles are not read": {without, http.Header{"X-Auth-Groups": {"a"}}, false, false},
	} {
		test.header.Set("X-Auth-User", "alice")
		p, err := test.of.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Header: test.header, Trusted: true}})
		if err != nil || p.GroupsUnread != test.groups || p.RolesUnread != test.roles || p.Claims != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, header := range []http.Header{{"X-Auth-User": {"alice"}, "X-Auth-Email": {"a\nb"}}, {"X-Auth-User": {"alice"}, "X-Auth-Roles": {"a\xff"}}, {"X-Auth-User": {"alice"}, "X-Auth-Email": {"a", "b"}}} {
		if p, err := with.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Header: header, Trusted: true}}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %+v, %v", header, p, err)
		}
	}
	roles := newTrustedHeaders(t, TrustedHeadersConfig{Roles: "X-Roles"})
	if _, err := roles.AuthenticateAmbient(t.Context(), &Credential{Evidence: &Evidence{Header: http.Header{"": {"alice"}}, Trusted: true}}); !errors.Is(err, ErrNotMine) {
		t.Errorf("without a header for names: %v", err)
	}
	for name, test := range map[string]struct {
		e    *Evidence
		told bool
		want error
	}{
		"told":                {&Evidence{Header: http.Header{"X-Roles": {"a"}}, Trusted: true}, true, nil},
		"told none":           {&Evidence{Header: http.Header{"X-Roles": {""}}, Trusted: true}, true, nil},
		"not told":            {&Evidence{Header: http.Header{}, Trusted: true}, false, nil},
		"told by anybody":     {&Evidence{Header: http.Header{"X-Roles": {"a"}}}, false, nil},
		"nothing is known":    {nil, false, nil},
		"in another spelling": {&Evidence{Header: http.Header{"X_roles": {"a"}}, Trusted: true}, false, ErrInvalid},
	} {
		if got, told, err := roles.AmbientRoles(test.e); told != test.told || !errors.Is(err, test.want) || !told && got != nil {
			t.Errorf("%s: %q %v %v", name, got, told, err)
		}
	}
	if _, told, err := with.AmbientRoles(&Evidence{}); !told || err != nil {
		t.Error("roles of the headers that name somebody are told with the name")
	}
	for name, want := range map[string]bool{"X-Roles": true, "X_roles": true, "X.roles": true, "X-Other": false, "X_other": false, "Xroles": false} {
		if IsHeaderAlias([]string{"X-Roles"}, name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestTrustedHeadersAreDeclared(t *testing.T) {
	for name, test := range map[string]struct {
		c    TrustedHeadersConfig
		want bool
	}{
		"a user":                  {TrustedHeadersConfig{User: "X-User0"}, true},
		"roles only":              {TrustedHeadersConfig{Roles: "X-Roles"}, true},
		"nothing":                 {TrustedHeadersConfig{}, false},
		"groups without a user":   {TrustedHeadersConfig{Roles: "X-Roles", Groups: "X-Groups"}, false},
		"mail without a user":     {TrustedHeadersConfig{Roles: "X-Roles", Email: "X-Mail"}, false},
		"twice":                   {TrustedHeadersConfig{User: "X-User", Email: "x-user"}, false},
		"an underscore":           {TrustedHeadersConfig{User: "X_User"}, false},
		"a bracket":               {TrustedHeadersConfig{User: "X[User"}, false},
		"a brace":                 {TrustedHeadersConfig{User: "X{User"}, false},
		"a colon":                 {TrustedHeadersConfig{User: "X:User"}, false},
		"a dot":                   {TrustedHeadersConfig{User: "X/User"}, false},
		"an at sign":              {TrustedHeadersConfig{User: "X@User"}, false},
		"a back-tick":             {TrustedHeadersConfig{User: "X`User"}, false},
		"one that is taken":       {TrustedHeadersConfig{User: "Authorization"}, false},
		"a separator":             {TrustedHeadersConfig{User: "X-User", Separator: " || "}, true},
		"the longest":             {TrustedHeadersConfig{User: "X-User", Separator: strings.Repeat("|", 8)}, true},
		"a longer one":            {TrustedHeadersConfig{User: "X-User", Separator: strings.Repeat("|", 9)}, false},
		"a tab":                   {TrustedHeadersConfig{User: "X-User", Separator: "\t"}, false},
		"a control character":     {TrustedHeadersConfig{User: "X-User", Separator: "\x7f"}, false},
		"a network":               {TrustedHeadersConfig{User: "X-User", From: []string{"10.0.0.0/8"}}, true},
		"a network that is none":  {TrustedHeadersConfig{User: "X-User", From: []string{"x"}}, false},
		"a network for nothing":   {TrustedHeadersConfig{User: "X-User", From: []string{"10.0.0.0/8"}, Certificates: []CertificateIdentity{{Source: "common_name", Match: "ci"}}}, false},
		"a network, and both":     {TrustedHeadersConfig{User: "X-User", From: []string{"10.0.0.0/8"}, TrustedProxies: true, Certificates: []CertificateIdentity{{Source: "common_name", Match: "ci"}}}, true},
		"a certificate for names": {TrustedHeadersConfig{User: "X-User", Certificates: []CertificateIdentity{{Source: "common_name", Match: "ci", Name: "x"}}}, false},
		"any certificate":         {TrustedHeadersConfig{User: "X-User", Certificates: []CertificateIdentity{{Source: "common_name"}}}, false},
	} {
		if err := test.c.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A service is where it may be, in whatever form its address comes.
	s := &service{name: "x", from: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}}
	for addr, want := range map[string]bool{"192.0.2.1": true, "::ffff:192.0.2.1": true, "fe80::1%eth0": true, "198.51.100.1": false} {
		if err := s.admits(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for secret, want := range map[string]bool{
		"abcdefgh" + strings.Repeat("a", minServiceSecret-8): true, "abcdefgh" + strings.Repeat("a", minServiceSecret-9): false, "abcdefg" + strings.Repeat("a", minServiceSecret-7): false,
		"abcdefgh " + strings.Repeat("a", minServiceSecret): false, "abcdefgh\x7f" + strings.Repeat("a", minServiceSecret): false, "abcdefghé" + strings.Repeat("a", minServiceSecret): false,
	} {
		if err := checkServiceSecret(secret); (err == nil) != want {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

// TestRegistryClaimsOfEachKind: a token speaks of somebody of a known kind by a
// name that such may have, and of access to single resources.
func TestRegistryClaimsOfEachKind(t *testing.T) {
	for name, test := range map[string]struct {
		kind    Kind
		holder  string
		subject string
		access  Limit
		want    bool
	}{
		"a user":                {KindUser, "alice", "alice", Limit{"repository", "a/b", []string{"pull", "push", "delete"}}, true},
		"a robot":               {KindRobot, "ci", "robot:ci", Limit{"registry", "catalog", []string{"*"}}, true},
		"a workload":            {KindWorkload, "job", "workload:job", Limit{"repository", "a", nil}, true},
		"nobody":                {KindAnonymous, "", "", Limit{"repository", "a", nil}, true},
		"nobody, with a name":   {KindAnonymous, "x", "", Limit{"repository", "a", nil}, false},
		"somebody strange":      {"strange", "x", "strange:x", Limit{"repository", "a", nil}, false},
		"a robot as a user":     {KindUser, "ci", "robot:ci", Limit{"repository", "a", nil}, false},
		"a robot called oddly":  {KindRobot, "Not A Robot", "robot:Not A Robot", Limit{"repository", "a", nil}, false},
		"a user without a name": {KindUser, "", "", Limit{"repository", "a", nil}, false},
		"another registry":      {KindUser, "alice", "alice", Limit{"registry", "x", []string{"*"}}, false},
		"everything":            {KindUser, "alice", "alice", Limit{"repository", "a", []string{"*"}}, false},
		"another action":        {KindUser, "alice", "alice", Limit{"repository", "a", []string{"own"}}, false},
		"another type":          {KindUser, "alice", "alice", Limit{"plugin", "a", nil}, false},
		"a pattern":             {KindUser, "alice", "alice", Limit{"repository", "a/*", nil}, false},
	} {
		c := &RegistryClaims{Subject: test.subject, ID: "1", ExpiresAt: 3, NotBefore: 1, IssuedAt: 2, Access: []Limit{test.access}, Principal: &RegistryPrincipal{Kind: test.kind, Name: test.holder}}
		if err := c.validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if RegistrySubject(nil) != "" || RegistrySubject(Anonymous) != "" {
		t.Error("nobody has a name")
	}
	for name, want := range map[string]bool{
		"a": true, "z9/0a": true, "a.b_c-d/e": true, "": false, "/a": false, "a/": false, "a//b": false, ".a": false, "a/.b": true, "A": false, "a*": false, "a{": false, "a`": false, "a:b": false, "a@": false,
		strings.Repeat("a", 255): true, strings.Repeat("a", 256): false,
	} {
		if plainName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	keys := newTestKeys(t)
	rt := newTestRegistryToken(t, keys, nil)
	for name, test := range map[string]struct {
		header, claims map[string]any
		want           error
	}{
		"good":                 {testHeader(), testClaims(), nil},
		"of another algorithm": {with(testHeader(), "alg", "ES384"), testClaims(), ErrInvalid},
		"of no algorithm":      {with(testHeader(), "alg", nil), testClaims(), ErrInvalid},
		"of no key":            {with(testHeader(), "kid", nil), testClaims(), ErrInvalid},
		"of another key":       {with(testHeader(), "kid", "k2"), testClaims(), ErrInvalid},
		"of an unknown key":    {with(testHeader(), "kid", "x"), testClaims(), ErrInvalid},
		"of another issuer":    {testHeader(), with(testClaims(), "iss", "https://other.test"), ErrNotMine},
		"valid from soon":      {testHeader(), with(testClaims(), "nbf", testNow.Unix()+60), nil},
		"valid from later":     {testHeader(), with(testClaims(), "nbf", testNow.Unix()+61), ErrInvalid},
		"issued later":         {testHeader(), with(testClaims(), "iat", testNow.Unix()+61), ErrInvalid},
		"just expired":         {testHeader(), with(testClaims(), "exp", testNow.Unix()-59), nil},
		"expired":              {testHeader(), with(testClaims(), "exp", testNow.Unix()-60), ErrExpired},
	} {
		if _, err := rt.Authenticate(t.Context(), bearer(keys.sign(t, test.header, test.claims))); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestSecretsHaveOneForm(t *testing.T) {
	secret, _ := NewSecret(SecretRobot)
	parsed, err := ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	// With a checksum that is right.
	whole := func(body string) string {
		check := checksum(body)
		return body + "_" + string(check[:])
	}
	body := secret[:len(secret)-secretChecksumLength-1]
	for name, test := range map[string]struct {
		secret string
		want   error
	}{
		"good":                {whole(body), nil},
		"a longer id":         {whole(strings.Replace(body, parsed.ID+"_", parsed.ID+"a", 1)[:len(body)]), ErrInvalid},
		"a shorter id":        {whole(strings.Replace(body, parsed.ID, parsed.ID[1:], 1) + "a"), ErrInvalid},
		"a large letter":      {whole(strings.Replace(body, parsed.ID, "A"+parsed.ID[1:], 1)), ErrInvalid},
		"a brace in the id":   {whole(strings.Replace(body, parsed.ID, "{"+parsed.ID[1:], 1)), ErrInvalid},
		"a colon in the id":   {whole(strings.Replace(body, parsed.ID, ":"+parsed.ID[1:], 1)), ErrInvalid},
		"another letter":      {whole(body[:len(body)-1] + "-"), ErrInvalid},
		"an at sign":          {whole(body[:len(body)-1] + "@"), ErrInvalid},
		"a bracket":           {whole(body[:len(body)-1] + "["), ErrInvalid},
		"a back-tick":         {whole(body[:len(body)-1] + "`"), ErrInvalid},
		"a brace":             {whole(body[:len(body)-1] + "{"), ErrInvalid},
		"a colon":             {whole(body[:len(body)-1] + ":"), ErrInvalid},
		"a slash":             {whole(body[:len(body)-1] + "/"), ErrInvalid},
		"another separator":   {body + "-" + secret[len(body)+1:], ErrInvalid},
		"another checksum":    {body + "_" + strings.Repeat("0", secretChecksumLength), ErrInvalid},
		"nothing of ours":     {"x" + secret, ErrNotMine},
		"a prefix":            {string(SecretRobot), ErrNotMine},
		"a prefix with a bar": {string(SecretRobot) + "_", ErrInvalid},
	} {
		if _, err := ParseSecret(test.secret); !errors.Is(err, test.want) {
			t.Errorf("%s: %s: %v, want %v", name, test.secret, err, test.want)
		}
	}
}
