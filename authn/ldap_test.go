package authn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// fakeDirectory answers as a directory with a few people would.
type fakeDirectory struct {
	passwords map[string]string                     // by DN
	found     map[string][]*ldap.Entry              // by base and filter
	refusal   func(dn string) error                 // instead of invalidCredentials
	control   *ldap.ControlBeheraPasswordPolicy     // with a refusal
	away      atomic.Bool                           // every question fails
	asked     []string                              // binds and filters
	bound     string                                // as whom the session is
	search    func(*ldap.SearchRequest) (err error) // fails a search
	referrals []string                              // of every search
}

func (d *fakeDirectory) with(_ context.Context, do func(ldapSession) error) error {
	if d.away.Load() {
		return directoryAway(errors.New("connection refused"))
	}
	return do(d)
}

func (d *fakeDirectory) close() {}

func (d *fakeDirectory) SimpleBind(r *ldap.SimpleBindRequest) (*ldap.SimpleBindResult, error) {
	d.asked = append(d.asked, "bind "+r.Username)
	d.bound = ""
	if r.Password == "" {
		if !r.AllowEmptyPassword || r.Username != "" {
			return nil, errors.New("empty password")
		}
		return &ldap.SimpleBindResult{}, nil
	}
	if want, ok := d.passwords[r.Username]; ok && want == r.Password {
		d.bound = r.Username
		return &ldap.SimpleBindResult{}, nil
	}
	result := &ldap.SimpleBindResult{}
	if d.control != nil {
		result.Controls = []ldap.Control{d.control}
	}
	if d.refusal != nil {
		return result, d.refusal(r.Username)
	}
	return result, ldap.NewError(ldap.LDAPResultInvalidCredentials, errors.New(""))
}

func (d *fakeDirectory) Search(r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	if _, err := ldap.CompileFilter(r.Filter); err != nil {
		return nil, err
	}
	d.asked = append(d.asked, "search "+r.BaseDN+" "+r.Filter+" as "+d.bound)
	if d.search != nil {
		if err := d.search(r); err != nil {
			return nil, err
		}
	}
	return &ldap.SearchResult{Entries: d.found[r.BaseDN+" "+r.Filter], Referrals: d.referrals}, nil
}

const aliceDN = "uid=alice,ou=people,dc=x"

func newFakeDirectory() *fakeDirectory {
	return &fakeDirectory{
		passwords: map[string]string{aliceDN: "pw", "cn=svc": "svc-pw"},
		found: map[string][]*ldap.Entry{
			"ou=people,dc=x (uid=alice)": {ldap.NewEntry(aliceDN, map[string][]string{
				"UID": {"alice"}, "mail": {"alice@x"}, "displayName": {"Alice A"}, "departmentNumber": {"1", "2"},
				"memberOf": {"cn=dev,ou=groups,dc=x", "cn=admins,ou=elsewhere,dc=x", "ou=odd,ou=groups,dc=x", "no name"},
			})},
			"ou=people,dc=x (uid=twice)": {ldap.NewEntry("uid=a", nil), ldap.NewEntry("uid=b", nil)},
		},
	}
}

func (d *fakeDirectory) authenticator(t *testing.T, clock *testClock, change func(*LDAPConfig)) *LDAP {
	t.Helper()
	c := LDAPConfig{URLs: []string{"ldaps://ldap.test"}, SearchBase: "ou=people,dc=x", ServiceDN: "cn=svc", ServicePassword: "svc-pw"}
	if change != nil {
		change(&c)
	}
	a, err := NewLDAP(c, LDAPOptions{Now: clock.now, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	a.directory = d
	return a
}

func password(user, secret string) *Credential {
	return &Credential{Scheme: SchemeBasic, Username: user, Secret: secret}
}

func TestLDAPPrincipal(t *testing.T) {
	d := newFakeDirectory()
	d.referrals = []string{"ldap://evil.test/ou=people,dc=x"} // is left alone
	a := d.authenticator(t, &testClock{}, func(c *LDAPConfig) {
		c.MemberOf, c.GroupBase, c.Attributes, c.Prefix = "memberOf", "ou=groups,dc=x", []string{"departmentNumber"}, "x-"
	})
	p, err := a.Authenticate(t.Context(), password("alice", "pw"))
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != "user:x-alice" || !slices.Equal(p.Groups, []string{"x-dev"}) || p.Authenticator != "ldap:ldaps://ldap.test" {
		t.Errorf("%+v", p)
	}
	want := map[string]string{"dn": aliceDN, "email": "alice@x", "name": "Alice A", "departmentNumber": "[1 2]"}
	for name, v := range want {
		if got := fmt.Sprint(p.Claims[name]); got != v {
			t.Errorf("%s: %s", name, got)
		}
	}
	if !slices.Equal(d.asked, []string{"bind cn=svc", "search ou=people,dc=x (uid=alice) as cn=svc", "bind " + aliceDN, "bind cn=svc"}) {
		t.Errorf("asked %q", d.asked)
	}
}

func TestLDAPRefusals(t *testing.T) {
	said := func(code uint16, message string) func(string) error {
		return func(dn string) error {
			if dn == "cn=svc" {
				return nil
			}
			return ldap.NewError(code, errors.New(message))
		}
	}
	jwt := "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
	robot, _ := NewSecret(SecretRobot)
	tests := []struct {
		name       string
		credential *Credential
		change     func(*fakeDirectory)
		want       error
	}{
		{"wrong", password("alice", "no"), nil, ErrInvalid},
		{"unknown", password("bob", "pw"), nil, ErrNotMine},
		{"several", password("twice", "pw"), nil, ErrInvalid},
		{"empty", password("alice", ""), nil, ErrNotMine},
		{"bearer", &Credential{Scheme: SchemeBearer, Secret: "pw"}, nil, ErrNotMine},
		{"token", password("alice", jwt), nil, ErrNotMine},
		{"robot's secret", password("alice", robot), nil, ErrNotMine},
		{"robot's name", password("robot-alice", "pw"), nil, ErrNotMine},
		{"odd name", password("al ice", "pw"), nil, ErrNotMine},
		{"locked by AD", password("alice", "no"), func(d *fakeDirectory) {
			d.refusal = said(49, "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data 775, v3839")
		}, ErrDisabled},
		{"disabled in AD", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(49, "error, data 533, v1") }, ErrDisabled},
		{"expired in AD", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(49, "error, data 532, v1") }, ErrExpired},
		{"unknown to AD", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(49, "error, data 525, v1") }, ErrNotMine},
		{"wrong in AD", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(49, "error, data 52e, v1") }, ErrInvalid},
		{"inactivated", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(53, "") }, ErrDisabled},
		{"busy", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(51, "") }, ErrUnavailable},
		{"broken", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(ldap.ErrorNetwork, "eof") }, ErrUnavailable},
		{"referral", password("alice", "no"), func(d *fakeDirectory) { d.refusal = said(ldap.LDAPResultReferral, "ldap://evil") }, ErrUnavailable},
		{"locked by policy", password("alice", "no"), func(d *fakeDirectory) {
			d.control = &ldap.ControlBeheraPasswordPolicy{Error: ldap.BeheraAccountLocked}
		}, ErrDisabled},
		{"service account refused", password("alice", "pw"), func(d *fakeDirectory) { d.passwords["cn=svc"] = "changed" }, ErrUnavailable},
		{"entry without a name", password("alice", "pw"), func(d *fakeDirectory) { d.found["ou=people,dc=x (uid=alice)"][0].DN = "" }, ErrUnavailable},
		{"search fails", password("alice", "pw"), func(d *fakeDirectory) {
			d.search = func(*ldap.SearchRequest) error {
				return ldap.NewError(ldap.LDAPResultTimeLimitExceeded, errors.New(""))
			}
		}, ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newFakeDirectory()
			if tt.change != nil {
				tt.change(d)
			}
			p, err := d.authenticator(t, &testClock{}, nil).Authenticate(t.Context(), tt.credential)
			if p != nil || !errors.Is(err, tt.want) {
				t.Errorf("%v, %v, want %v", p, err, tt.want)
			}
			if err != nil && tt.credential.Secret == "pw" && strings.Contains(err.Error(), "svc-pw") {
				t.Errorf("the error has a password: %v", err)
			}
		})
	}
}

// TestLDAPInjection: no name gives another question than for that name.
func TestLDAPInjection(t *testing.T) {
	for _, name := range []string{"*", "a*", "alice)(uid=*", "*)(objectClass=*", "\\2a", "(", "|(uid=*)", "{dn}", "{user}", "a\u0000b", "ä*"} {
		filter := fillFilter("(&(uid={user})(member={dn}))", "cn="+name, name)
		compiled, err := ldap.CompileFilter(filter)
		if err != nil {
			t.Errorf("%q: %s: %v", name, filter, err)
			continue
		}
		if len(compiled.Children) != 2 {
			t.Errorf("%q: %s has %d parts", name, filter, len(compiled.Children))
			continue
		}
		for i, want := range []string{name, "cn=" + name} {
			part := compiled.Children[i]
			if part.Tag != ldap.FilterEqualityMatch {
				t.Errorf("%q: part %d is %s", name, i, ldap.FilterMap[uint64(part.Tag)])
				continue
			}
			if got := part.Children[1].Data.String(); got != want && part.Children[1].Value != want {
				t.Errorf("%q: asks for %q", name, got)
			}
		}
	}
	for _, name := range []string{"a,ou=admins", "a+cn=b", "a=b", `a"b`, "a<b>", "a;b", "#a", "a\\", "a/b", " a "} {
		dn, err := ldap.ParseDN(fillDN("uid={user},ou=people,dc=x", name))
		if err != nil || len(dn.RDNs) != 3 || len(dn.RDNs[0].Attributes) != 1 || dn.RDNs[0].Attributes[0].Value != name {
			t.Errorf("%q: %v %v", name, dn, err)
		}
	}
	for name, want := range map[string]bool{"alice": true, "a.b-c_d": true, "ä": true, "a@b": false, "CORP/a": false, "a*": false, "": false} {
		if plainLogin(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestLDAPGroups(t *testing.T) {
	group := func(name string) *ldap.Entry {
		return ldap.NewEntry("cn="+name+",ou=groups,dc=x", map[string][]string{"cn": {name}})
	}
	member := func(of string) string { return "ou=groups,dc=x (member=" + ldap.EscapeFilter(of) + ")" }
	search := func(c *LDAPConfig) { c.GroupBase, c.GroupFilter = "ou=groups,dc=x", "(member={dn})" }
	tests := []struct {
		name   string
		change func(*LDAPConfig)
		want   []string
		err    error
	}{
		{"none", func(*LDAPConfig) {}, nil, nil},
		{"search", search, []string{"dev"}, nil},
		{"nested", func(c *LDAPConfig) { search(c); c.Nested = NestedRecursive }, []string{"dev", "all"}, nil},
		{"in chain", func(c *LDAPConfig) { c.GroupBase, c.Nested = "ou=groups,dc=x", NestedInChain }, []string{"dev", "all"}, nil},
		{"memberOf", func(c *LDAPConfig) { c.MemberOf = "memberOf" }, []string{"dev", "admins"}, nil},
		{"whole names", func(c *LDAPConfig) { c.MemberOf, c.GroupName = "memberOf", "dn" }, []string{"cn=dev,ou=groups,dc=x", "cn=admins,ou=elsewhere,dc=x", "ou=odd,ou=groups,dc=x"}, nil},
		{"required", func(c *LDAPConfig) { search(c); c.RequiredGroups = []string{"ops"} }, nil, ErrDisabled},
		{"too many", func(c *LDAPConfig) { c.GroupBase, c.GroupFilter = "ou=many,dc=x", "(member={dn})" }, nil, ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newFakeDirectory()
			dev, all := group("dev"), group("all")
			d.found[member(aliceDN)] = []*ldap.Entry{dev}
			d.found[member(dev.DN)] = []*ldap.Entry{all}
			d.found[member(all.DN)] = []*ldap.Entry{dev} // in a circle
			d.found["ou=groups,dc=x (member:1.2.840.113556.1.4.1941:="+aliceDN+")"] = []*ldap.Entry{dev, all}
			d.search = func(r *ldap.SearchRequest) error {
				if strings.HasPrefix(r.BaseDN, "ou=many") {
					return ldap.NewError(ldap.LDAPResultSizeLimitExceeded, errors.New(""))
				}
				return nil
			}
			p, err := d.authenticator(t, &testClock{}, tt.change).Authenticate(t.Context(), password("alice", "pw"))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err == nil && !slices.Equal(p.Groups, tt.want) {
				t.Errorf("groups %q, want %q", p.Groups, tt.want)
			}
		})
	}
}

func TestLDAPRemembers(t *testing.T) {
	d, clock := newFakeDirectory(), &testClock{}
	a := d.authenticator(t, clock, nil)
	sign := func(secret string, want error) {
		t.Helper()
		if _, err := a.Authenticate(t.Context(), password("alice", secret)); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	sign("pw", nil)
	sign("no", ErrInvalid)
	asked := len(d.asked)
	sign("pw", nil)
	sign("no", ErrInvalid)
	if len(d.asked) != asked {
		t.Errorf("asked %q again", d.asked[asked:])
	}
	d.away.Store(true)
	sign("pw", nil)
	clock.advance(defaultLDAPFailures)
	sign("no", ErrUnavailable)
	clock.advance(defaultLDAPCache)
	sign("pw", ErrUnavailable)
	d.away.Store(false)
	sign("pw", nil)
}

// TestLDAPAsksAsMuchForUnknown: a name that is not there costs as many
// questions as a wrong password.
func TestLDAPAsksAsMuchForUnknown(t *testing.T) {
	d := newFakeDirectory()
	a := d.authenticator(t, &testClock{}, nil)
	_, _ = a.Authenticate(t.Context(), password("alice", "no"))
	known := len(d.asked)
	_, _ = a.Authenticate(t.Context(), password("bob", "no"))
	if unknown := len(d.asked) - known; unknown != known {
		t.Errorf("%d questions about an unknown name, %d about a known: %q", unknown, known, d.asked)
	}
}

func TestLDAPBindAs(t *testing.T) {
	d := newFakeDirectory()
	d.found[aliceDN+" (objectClass=*)"] = d.found["ou=people,dc=x (uid=alice)"]
	a := d.authenticator(t, &testClock{}, func(c *LDAPConfig) {
		*c = LDAPConfig{URLs: c.URLs, BindAs: "uid={user},ou=people,dc=x"}
	})
	if p, err := a.Authenticate(t.Context(), password("alice", "pw")); err != nil || p.Name != "alice" {
		t.Errorf("%v %v", p, err)
	}
	d.passwords["eve@corp"] = "pw"
	a = d.authenticator(t, &testClock{}, func(c *LDAPConfig) { c.BindAs, c.SearchFilter = "{user}@corp", "(uid={user})" })
	if _, err := a.Authenticate(t.Context(), password("eve", "pw")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("signed in and not found: %v", err)
	}
	if _, err := a.Authenticate(t.Context(), password("eve@corp,dc=x", "pw")); !errors.Is(err, ErrNotMine) {
		t.Errorf("a name that cannot be escaped: %v", err)
	}
}

func TestLDAPConfig(t *testing.T) {
	good := LDAPConfig{URLs: []string{"ldaps://a"}, BindAs: "uid={user},dc=x"}
	tests := []struct {
		change func(*LDAPConfig)
		want   string // part of the error; empty: none
	}{
		{func(*LDAPConfig) {}, ""},
		{func(c *LDAPConfig) { c.URLs = nil }, "no url"},
		{func(c *LDAPConfig) { c.URLs = []string{"ldap://ldap.example.com"} }, "unencrypted"},
		{func(c *LDAPConfig) { c.URLs, c.StartTLS = []string{"ldap://ldap.example.com"}, true }, ""},
		{func(c *LDAPConfig) { c.URLs, c.InsecurePlaintext = []string{"ldap://ldap.example.com"}, true }, ""},
		{func(c *LDAPConfig) { c.URLs = []string{"ldap://127.0.0.1:389"} }, ""},
		{func(c *LDAPConfig) { c.StartTLS = true }, "encrypted already"},
		{func(c *LDAPConfig) { c.URLs = []string{"ldaps://u:p@a"} }, "nothing else"},
		{func(c *LDAPConfig) { c.URLs = []string{"http://a"} }, "want ldaps://"},
		{func(c *LDAPConfig) { c.BindAs = "" }, "neither"},
		{func(c *LDAPConfig) { c.BindAs = "uid=x,dc=x" }, "no {user}"},
		{func(c *LDAPConfig) { c.BindAs = "{user}@corp" }, "search is needed"},
		{func(c *LDAPConfig) { c.BindAs = "uid={user},dc" }, "not the name of an entry"},
		{func(c *LDAPConfig) { c.ServiceDN = "cn=x" }, "name and a password"},
		{func(c *LDAPConfig) { c.SearchBase, c.SearchFilter = "dc=x", "(uid=x)" }, "has no {user}"},
		{func(c *LDAPConfig) { c.SearchBase, c.SearchFilter = "dc=x", "(uid={user}" }, "filter"},
		{func(c *LDAPConfig) { c.SearchBase = "x" }, "not the name of an entry"},
		{func(c *LDAPConfig) { c.Nested = "yes" }, "nested"},
		{func(c *LDAPConfig) { c.MemberOf, c.Nested = "memberOf", NestedInChain }, "needs group_search"},
		{func(c *LDAPConfig) { c.GroupBase, c.Nested, c.GroupFilter = "dc=x", NestedInChain, "(member={dn})" }, "1941"},
		{func(c *LDAPConfig) {
			c.GroupBase, c.Nested, c.GroupFilter = "dc=x", NestedRecursive, "(memberUid={user})"
		}, "{dn}"},
		{func(c *LDAPConfig) { c.RequiredGroups = []string{"x"} }, "need member_of"},
		{func(c *LDAPConfig) { c.Cache = Duration(1 << 60) }, "cache"},
		{func(c *LDAPConfig) { c.Connections = -1 }, "connections"},
	}
	for i, tt := range tests {
		c := good
		tt.change(&c)
		err := c.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d: %v, want %q", i, err, tt.want)
		}
	}
}
