package authn

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

func TestLDAPLookup(t *testing.T) {
	clock := &testClock{}
	const people, anything = "ou=people,dc=x", " (objectClass=*)"
	filetime := func(at time.Time) string {
		return strconv.FormatInt((at.Unix()+11644473600)*10_000_000, 10)
	}
	for _, test := range []struct {
		name       string
		change     func(*LDAPConfig)
		attributes map[string][]string // of the entry that the search finds; nil: none
		elsewise   map[string]bool     // further entries by base and filter
		fails      bool
		want       error
	}{
		{"there", nil, map[string][]string{}, nil, false, nil},
		{"may sign in", nil, map[string][]string{"userAccountControl": {"512"}, "accountExpires": {"0"}, "nsAccountLock": {"FALSE"}}, nil, false, nil},
		{"never expires", nil, map[string][]string{"accountExpires": {"9223372036854775807"}}, nil, false, nil},
		{"expires later", nil, map[string][]string{"accountExpires": {filetime(clock.now().Add(time.Hour))}}, nil, false, nil},
		{"locked for a while", nil, map[string][]string{"pwdAccountLockedTime": {"20260101000000Z"}}, nil, false, nil},
		{"disabled (Active Directory)", nil, map[string][]string{"userAccountControl": {"514"}}, nil, false, ErrDisabled},
		{"has expired", nil, map[string][]string{"accountExpires": {filetime(clock.now().Add(-time.Hour))}}, nil, false, ErrDisabled},
		{"disabled (389, FreeIPA)", nil, map[string][]string{"nsaccountlock": {"TRUE"}}, nil, false, ErrDisabled},
		{"disabled (eDirectory)", nil, map[string][]string{"loginDisabled": {"TRUE"}}, nil, false, ErrDisabled},
		{"locked for good", nil, map[string][]string{"pwdAccountLockedTime": {"000001010000Z"}}, nil, false, ErrDisabled},
		{"two names", nil, map[string][]string{"uid": {"b", "c"}}, nil, false, ErrDisabled},
		{
			"in a required group", func(c *LDAPConfig) { c.MemberOf, c.RequiredGroups = "memberOf", []string{"dev"} },
			map[string][]string{"memberOf": {"cn=dev,ou=groups,dc=x"}},
			nil, false, nil,
		},
		{
			"in no required group", func(c *LDAPConfig) { c.MemberOf, c.RequiredGroups = "memberOf", []string{"dev"} },
			map[string][]string{"memberOf": {"cn=ops,ou=groups,dc=x"}},
			nil, false, ErrDisabled,
		},
		{"left out by the search", nil, nil, map[string]bool{aliceDN + anything: true}, false, ErrDisabled},
		{"not there", nil, nil, map[string]bool{people + anything: true}, false, ErrGone},
		{"nobody is to be seen", nil, nil, nil, false, ErrUnavailable},
		{"found by another name", func(c *LDAPConfig) { c.SearchFilter = "(&(mail={user}@x)(!(state=left)))" }, map[string][]string{}, nil, false, nil},
		{"an exact match", func(c *LDAPConfig) { c.SearchFilter = "(uid:caseExactMatch:={user})" }, map[string][]string{}, nil, false, nil},
		{"signs in directly", func(c *LDAPConfig) { c.BindAs, c.SearchBase = "uid={user},ou=people,dc=x", "" }, nil, map[string]bool{people + anything: true}, false, ErrGone},
		{"without a service account", func(c *LDAPConfig) {
			c.BindAs, c.ServiceDN, c.ServicePassword = "uid={user},ou=people,dc=x", "", ""
		}, map[string][]string{}, nil, false, ErrUnavailable},
		{"away", nil, map[string][]string{}, nil, true, ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newFakeDirectory()
			a := d.authenticator(t, clock, func(c *LDAPConfig) {
				c.Prefix = "x-"
				if test.change != nil {
					test.change(c)
				}
			})
			d.found = map[string][]*ldap.Entry{}
			if test.attributes != nil {
				entry := map[string][]string{"uid": {"alice"}}
				for k, v := range test.attributes {
					entry[k] = v
				}
				d.found[aliceDN+" "+a.config.peopleFilter()] = []*ldap.Entry{ldap.NewEntry(aliceDN, entry)}
			}
			for place := range test.elsewise {
				base, _, _ := strings.Cut(place, " ")
				d.found[place] = []*ldap.Entry{ldap.NewEntry(base, nil)}
			}
			d.away.Store(test.fails)
			p, err := a.Lookup(t.Context(), &Principal{Kind: KindUser, Name: "x-alice", Issuer: "ldap:x-", Subject: aliceDN})
			if !errors.Is(err, test.want) || errors.Is(err, ErrGone) != (test.want == ErrGone) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if err == nil && (p.String() != "user:x-alice" || p.Subject != aliceDN) {
				t.Errorf("%+v", p)
			}
			if slices.Contains(d.asked, "bind "+aliceDN) {
				t.Error("signed in as the person")
			}
		})
	}
	for filter, want := range map[string]string{
		"":                             "(uid=*)",
		"(&(mail={user}@x)(!(a=b)))":   "(&(mail=*@x)(!(a=b)))",
		"(uid:caseExactMatch:={user})": "(objectClass=*)",
	} {
		a := newFakeDirectory().authenticator(t, clock, func(c *LDAPConfig) { c.SearchFilter = filter })
		if got := a.config.peopleFilter(); got != want {
			t.Errorf("%q finds people by %q, want %q", filter, got, want)
		}
	}
	a := newFakeDirectory().authenticator(t, clock, nil)
	if _, err := a.Lookup(t.Context(), &Principal{Name: "alice", Issuer: "https://sso", Subject: aliceDN}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("somebody of another issuer: %v", err)
	}
}
