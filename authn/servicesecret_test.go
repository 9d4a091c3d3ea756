package authn

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

var certificateRemote = netip.MustParseAddr("192.0.2.7")

func TestServiceSecrets(t *testing.T) {
	ours, stored := NewSecret(SecretRobot)
	const chosen, next = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	services, err := NewServiceSecrets([]ServiceSecretConfig{
		{Name: "scanner", Secrets: []string{chosen + "\n", next}, From: []string{"192.0.2.0/24"}, Limits: []Limit{{Name: "**", Actions: []string{"pull"}}}},
		{Name: "replicator", SecretHashes: []string{stored}, From: []string{"::1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	robots, err := NewRobots([]RobotConfig{{Name: "ci", SecretHashes: []string{stored}}}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	oidc := &stub{principal: &Principal{Kind: KindUser, Name: "fooled"}}
	chain := NewChain([]Member{NewMember(RobotsName, robots), NewMember("oidc", oidc), NewMember(ServiceSecretsName, services)}, NewThrottle(nil))
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("scanner:"+chosen))
	for _, test := range []struct {
		name, header, from string
		want               string
		err                error
	}{
		{"right", "Registry-Secret " + chosen, "192.0.2.7", "robot:scanner", nil},
		{"in any case", "registry-secret " + next, "::ffff:192.0.2.7", "robot:scanner", nil},
		{"one of ours", "Registry-Secret " + ours, "::1", "robot:replicator", nil},
		{"from elsewhere", "Registry-Secret " + chosen, "198.51.100.1", "", ErrForbiddenSource},
		{"wrong", "Registry-Secret " + strings.ToUpper(chosen), "192.0.2.7", "", ErrInvalid},
		{"beginning", "Registry-Secret " + chosen[:31], "192.0.2.7", "", ErrInvalid},
		{"empty", "Registry-Secret ", "192.0.2.7", "", ErrMalformed},
		{"with a space", "Registry-Secret " + chosen + " x", "192.0.2.7", "", ErrMalformed},
		{"of another kind", "Registry-Secret eyJhbGciOiJub25lIn0.e30.AAAA", "192.0.2.7", "", ErrInvalid},
	} {
		c, err := FromHeader(http.Header{"Authorization": {test.header}}, netip.MustParseAddr(test.from))
		var p *Principal
		if err == nil {
			p, err = chain.Authenticate(t.Context(), c)
		}
		if !errors.Is(err, test.err) || (err == nil && p.String() != test.want) {
			t.Errorf("%s: got %v, %v", test.name, p, err)
		}
		if err != nil && strings.Contains(err.Error(), chosen) {
			t.Errorf("%s: the secret is in %v", test.name, err)
		}
	}
	if oidc.asked != 0 {
		t.Error("an authenticator of another scheme was offered the secret")
	}
	// Under another scheme it is nothing.
	c, err := FromHeader(http.Header{"Authorization": {basic}}, certificateRemote)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services.Authenticate(t.Context(), c); !errors.Is(err, ErrNotMine) {
		t.Errorf("as a password: %v", err)
	}
}

func TestServiceSecretRecheck(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	config := ServiceSecretConfig{Name: "scanner", Secrets: []string{secret}, From: []string{"192.0.2.0/24"}}
	services, err := NewServiceSecrets([]ServiceSecretConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	p, err := services.Authenticate(t.Context(), &Credential{Scheme: SchemeRegistrySecret, Secret: secret, Remote: certificateRemote})
	if err != nil {
		t.Fatal(err)
	}
	token := &Principal{Kind: KindRobot, Name: "scanner", OriginID: p.CredentialID}
	if err := services.Recheck(token, &Credential{Remote: certificateRemote}); err != nil {
		t.Error(err)
	}
	if err := services.Recheck(token, &Credential{Remote: netip.MustParseAddr("::1")}); !errors.Is(err, ErrForbiddenSource) {
		t.Errorf("from elsewhere: %v", err)
	}
	config.Secrets = []string{"another-secret-another-secret-000"}
	rotated, err := NewServiceSecrets([]ServiceSecretConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Principal{"secret withdrawn": token, "no such service": {Kind: KindRobot, Name: "x"}, "a user": {Kind: KindUser, Name: "scanner"}} {
		if err := rotated.Recheck(p, &Credential{Remote: certificateRemote}); !errors.Is(err, ErrDisabled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServiceSecretConfiguration(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	from := []string{"::1"}
	for want, list := range map[string][]ServiceSecretConfig{
		"robot name":             {{Name: "A B"}},
		"from is missing":        {{Name: "a", Secrets: []string{secret}}},
		"want a network":         {{Name: "a", Secrets: []string{secret}, From: []string{"home"}}},
		"secret is missing":      {{Name: "a", From: from}},
		"at least 32":            {{Name: "a", Secrets: []string{"short"}, From: from}},
		"without spaces":         {{Name: "a", Secrets: []string{secret + " x"}, From: from}},
		"different characters":   {{Name: "a", Secrets: []string{strings.Repeat("ab", 20)}, From: from}},
		"slow hash":              {{Name: "a", SecretHashes: []string{"$2a$10$Yg72T1/I4y0DPXcgLdQ7N.yBzSxv6XFvk0CgDpn5wDfNAhDW57ide"}, From: from}},
		"declared twice":         {{Name: "a", Secrets: []string{secret}, From: from}, {Name: "a", Secrets: []string{secret + "x"}, From: from}},
		"is also that of a":      {{Name: "a", Secrets: []string{secret}, From: from}, {Name: "b", Secrets: []string{secret}, From: from}},
		"unknown form of hash: ": {{Name: "a", SecretHashes: []string{"x"}, From: from}},
	} {
		_, err := NewServiceSecrets(list)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
