package authn

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestMembersHaveNamesOfTheirOwn: what two authenticators of a realm must not
// both have is refused, and both are named.
func TestMembersHaveNamesOfTheirOwn(t *testing.T) {
	people := func(name, prefix string) Facts { return Facts{Name: name, Prefix: prefix, People: true} }
	from := func(f Facts, issuer, claim string) Facts { f.NameFrom = NameSource{issuer, claim}; return f }
	for _, test := range []struct {
		name    string
		members []Facts
		want    string // "" for none
	}{
		{"none", nil, ""},
		{"one without a prefix", []Facts{people("a", "")}, ""},
		{"two without a prefix", []Facts{people("a", ""), people("b", "")}, "a and b would both call their users by plain names"},
		{"one with, one without", []Facts{people("a", ""), people("b", "b-")}, ""},
		{"the same prefix", []Facts{people("a", "x/"), people("b", "x/")}, `a and b have the same prefix "x/"`},
		{"a prefix within another", []Facts{people("a", "corp/"), people("b", "corp/eu/")}, `"corp/" of a and "corp/eu/" of b`},
		{"in the other order", []Facts{people("b", "corp/eu/"), people("a", "corp/")}, `"corp/eu/" of b and "corp/" of a`},
		{"beside one without", []Facts{people("c", ""), people("b", "corp/eu/"), people("a", "corp/")}, "begin alike"},
		{"prefixes apart", []Facts{people("c", ""), people("a", "corp/"), people("b", "eu/")}, ""},
		{"names no people", []Facts{people("a", ""), {Name: "b"}, {Name: "c"}}, ""},
		{"a prefix of no people", []Facts{people("a", "corp/"), {Name: "b", Prefix: "corp/eu/"}}, ""},
		{
			"the same names of one issuer", []Facts{from(people("a", ""), "i", "sub"), from(people("b", ""), "i", "sub")}, "",
		},
		{"other names of one issuer", []Facts{from(people("a", ""), "i", "sub"), from(people("b", ""), "i", "email")}, "plain names"},
		{"clients of one issuer", []Facts{from(people("a", ""), "i", ""), from(people("b", ""), "i", "email")}, ""},
		{
			"clients first, then people by two claims",
			[]Facts{from(people("a", ""), "i", ""), from(people("b", ""), "i", "email"), from(people("c", ""), "i", "sub")},
			"b and c",
		},
		{"one name", []Facts{{Name: "a"}, {Name: "a"}}, `"a" is configured twice`},
		{"one issuer", []Facts{{Name: "a", Issuers: []string{"i"}}, {Name: "b", Issuers: []string{"j", "i"}}}, "a and b are for tokens of the same issuer"},
		{"one identity", []Facts{{Name: "a", Identity: "i"}, {Name: "b", Identity: "i"}}, "a and b have users of the same issuer i"},
		{"one workload", []Facts{{Name: "a", Workloads: []string{"ci"}}, {Name: "b", Workloads: []string{"ci"}}}, `both have a workload "ci"`},
		{"one robot", []Facts{{Name: "a", Robots: []string{"ci"}}, {Name: "b", Services: []string{"ci"}}}, `both have a robot "ci"`},
		{"a service first", []Facts{{Name: "b", Services: []string{"ci"}}, {Name: "a", Robots: []string{"ci"}}}, `both have a robot "ci"`},
		{"acts as a robot", []Facts{{Name: "a", Robots: []string{"ci"}}, {Name: "b", ActsAs: []string{"ci"}}}, ""},
		{"acts as a service", []Facts{{Name: "a", ActsAs: []string{"ci"}}, {Name: "b", Services: []string{"ci"}}}, `acts as robot "ci"`},
		{"a user who logs in as a robot", []Facts{{Name: "a", Robots: []string{"ci"}}, {Name: "b", Logins: []string{"ci"}}}, `both would log in as ci`},
		{"a user of a service's name", []Facts{{Name: "a", Services: []string{"ci"}}, {Name: "b", Logins: []string{"ci"}}}, ""},
		{"clients twice", []Facts{{Name: "a", Clients: true}, {Name: "b", Clients: true}}, "both call their clients by plain names"},
		{"a client and a workload", []Facts{{Name: "a", Clients: true, Prefix: "kc-"}, {Name: "b", Workloads: []string{"kc-ci"}}}, `name of workload "kc-ci" of b`},
		{"a client and another workload", []Facts{{Name: "a", Clients: true, Prefix: "kc-"}, {Name: "b", Workloads: []string{"ci"}}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var members []Member
			for _, f := range test.members {
				members = append(members, Member{Facts: f})
			}
			err := CheckMembers(members)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// named stands for an authenticator that says of everybody who it is.
type named struct {
	Authenticator
	facts Facts
}

func (n named) Facts() Facts { return n.facts }

// TestNamesOfOthersAreRefused: whoever may choose a name at a provider without
// a prefix is not taken for somebody of one with a prefix.
func TestNamesOfOthersAreRefused(t *testing.T) {
	ch := NewChain([]Member{
		NewMember("", named{facts: Facts{Name: "plain", People: true, Identity: "https://plain"}}),
		NewMember("", named{facts: Facts{Name: "second", Prefix: "second-", People: true, Identity: "https://second"}}),
		NewMember("", named{facts: Facts{Name: "proxy", Prefix: "proxy-"}}), // names roles only
		NewMember("sessions", &stub{}),
	}, nil)
	for _, test := range []struct {
		name    string
		p       Principal
		refused bool
	}{
		{"plain", Principal{Authenticator: "plain", Kind: KindUser, Name: "alice", Groups: []string{"dev"}, Roles: []string{"admin"}}, false},
		{"name", Principal{Authenticator: "plain", Kind: KindUser, Name: "second-alice"}, true},
		{"only begins alike", Principal{Authenticator: "plain", Kind: KindUser, Name: "secondary"}, false},
		{"group", Principal{Authenticator: "plain", Kind: KindUser, Name: "alice", Groups: []string{"dev", "second-dev"}}, true},
		{"role", Principal{Authenticator: "plain", Kind: KindUser, Name: "alice", Roles: []string{"second-admin"}}, true},
		{"role of the proxy", Principal{Authenticator: "plain", Kind: KindUser, Name: "alice", Roles: []string{"proxy-admin"}}, true},
		{"its own", Principal{Authenticator: "second", Kind: KindUser, Name: "second-alice", Groups: []string{"second-dev"}}, false},
		{"a workload's name", Principal{Authenticator: "plain", Kind: KindWorkload, Name: "second-ci"}, false},
		{"a workload's group", Principal{Authenticator: "plain", Kind: KindWorkload, Name: "ci", Groups: []string{"second-dev"}}, true},
		{"a session, by its issuer", Principal{Authenticator: "sessions", Issuer: "https://plain", Kind: KindUser, Name: "second-alice"}, true},
		{"a session of the other", Principal{Authenticator: "sessions", Issuer: "https://second", Kind: KindUser, Name: "second-alice"}, false},
		{"nobody knows whose", Principal{Authenticator: "gone", Kind: KindUser, Name: "second-alice"}, false},
	} {
		if err := ch.CheckNames(&test.p); (err != nil) != test.refused || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.p.Authenticator == "sessions" || test.p.Authenticator == "gone" {
			continue
		}
		if _, err := ch.vouch(test.p.Authenticator, &test.p); (err != nil) != test.refused {
			t.Errorf("%s, vouched for: %v", test.name, err)
		}
		if err := ch.Vouch(&test.p, nil); (err != nil) != test.refused {
			t.Errorf("%s, something lasting: %v", test.name, err)
		}
	}
	if off := ch.WithoutPasswords(); off.CheckNames(&Principal{Authenticator: "plain", Kind: KindUser, Name: "second-alice"}) == nil {
		t.Error("where passwords are off, the name counts")
	}
}

// TestFacts has what each authenticator states: by it realms refuse passwords
// of people and names that could be another's.
func TestFacts(t *testing.T) {
	oidc, err := NewOIDC(OIDCConfig{Issuer: "https://sso.test", ClientID: "r", ClaimsConfig: ClaimsConfig{Prefix: "corp/"}, SignInConfig: SignInConfig{SubjectAlias: "https://old.test"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := NewBasicExchange(BasicExchangeConfig{Issuer: "https://sso.test"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewBasicExchange(BasicExchangeConfig{Issuer: "https://sso.test", ClientCredentials: true, PasswordGrant: &PasswordGrant{ClientID: "x"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	directory, err := NewLDAP(LDAPConfig{URLs: []string{"ldaps://ldap.test"}, BindAs: "uid={user},dc=x", Prefix: "l-"}, LDAPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := NewExternal(ExternalConfig{URL: "https://who.test", Credentials: []string{"bearer"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := NewExternal(ExternalConfig{URL: "https://who.test", Credentials: []string{"bearer", "password"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	local, err := NewLocal(LocalConfig{Prefix: "p-", Users: []LocalUser{{Name: "root", PasswordHash: quickArgon2, BreakGlass: true}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	roles, err := NewTrustedHeaders(TrustedHeadersConfig{Roles: "X-Roles", TrustedProxies: true})
	if err != nil {
		t.Fatal(err)
	}
	users, err := NewTrustedHeaders(TrustedHeadersConfig{User: "X-User", TrustedProxies: true, Prefix: "h-"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		of   Described
		want Facts
	}{
		{oidc, Facts{Name: "oidc:https://sso.test", Prefix: "corp/", People: true, Issuers: []string{"https://sso.test"}, Identity: "https://old.test", NameFrom: NameSource{"https://sso.test", "preferred_username"}}},
		{clients, Facts{Name: "basic_exchange:https://sso.test", People: true, Clients: true, NameFrom: NameSource{Issuer: "https://sso.test"}}},
		{both, Facts{Name: "basic_exchange:https://sso.test", People: true, Passwords: true, Clients: true, NameFrom: NameSource{"https://sso.test", "preferred_username"}}},
		{directory, Facts{Name: "ldap:ldaps://ldap.test", Prefix: "l-", People: true, Passwords: true, Identity: "ldap:l-"}},
		{tokens, Facts{Name: "external:https://who.test", People: true}},
		{asked, Facts{Name: "external:https://who.test", People: true, Passwords: true}},
		{local, Facts{Name: "local:p-", Prefix: "p-", People: true, Passwords: true, Logins: []string{"root"}}},
		{&Htpasswd{config: HtpasswdConfig{Prefix: "f-"}}, Facts{Name: "htpasswd:f-", Prefix: "f-", People: true, Passwords: true}},
		{roles, Facts{Name: "trusted_headers"}},
		{users, Facts{Name: "trusted_headers", Prefix: "h-", People: true}},
		{&MTLS{kind: KindWorkload}, Facts{Name: "mtls"}},
		{&MTLS{kind: KindUser, name: "vpn", prefix: "v-"}, Facts{Name: "mtls:vpn", Prefix: "v-", People: true}},
		{&TokenReview{config: TokenReviewConfig{Server: "https://k", Prefix: "k-", Issuers: []string{"i"}}}, Facts{Name: "token_review:https://k", Issuers: []string{"i"}}},
		{&Robots{configs: []RobotConfig{{Name: "ci"}}}, Facts{Name: "robots", Robots: []string{"ci"}}},
		{&ServiceSecrets{services: []*service{{name: "scanner"}}}, Facts{Name: "service_secret", Services: []string{"scanner"}}},
		{
			&Workload{tokenVerifier: tokenVerifier{name: "workload:i", issuer: "i"}, mappings: []mapping{{name: "a", kind: KindWorkload, as: "a"}, {name: "b", kind: KindRobot, as: "ci"}}},
			Facts{Name: "workload:i", Issuers: []string{"i"}, Workloads: []string{"a", "b"}, ActsAs: []string{"ci"}},
		},
	} {
		if got := test.of.Facts(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%T\ngot  %+v\nwant %+v", test.of, got, test.want)
		}
	}
	// What states nothing of itself has a name, and else nothing.
	if m := NewMember("third", &stub{}); !reflect.DeepEqual(m.Facts, Facts{Name: "third"}) {
		t.Errorf("%+v", m)
	}
}
