package authz

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestOutcomesCount: what is unclear never helps the caller, and what only the
// request tells stops no token.
func TestOutcomesCount(t *testing.T) {
	for o, want := range map[outcome][2]bool{holds: {true, true}, later: {true, false}, unclear: {false, true}, fails: {false, false}, fails + 1: {false, false}} {
		if got := [2]bool{o.applies(false), o.applies(true)}; got != want {
			t.Errorf("outcome %d: a grant and a deny rule count %v, want %v", o, got, want)
		}
	}
}

func TestNetworksAreWhatTheyStandFor(t *testing.T) {
	for text, want := range map[string]string{
		"::ffff:192.0.2.9": "192.0.2.9/32", "::ffff:0:0/96": "0.0.0.0/0", "::ffff:192.0.2.0/120": "192.0.2.0/24", "2001:db8::1": "2001:db8::1/128",
		"::ffff:0:0/95": "", "fe80::1%eth0": "", "192.0.2.1/24": "", "192.0.2.0/33": "",
	} {
		got, err := parsePrefix(text)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%s: %s, %v, want %q", text, got, err, want)
		}
	}
	zone := netip.MustParseAddr("fe80::1%eth0")
	if got := within([]netip.Prefix{netip.MustParsePrefix("fe80::/10")}, zone); got != holds {
		t.Errorf("an address with a zone: %d", got)
	}
}

func TestHoursAtTheirBounds(t *testing.T) {
	for _, wrong := range []string{
		"", " ", "08:00", "x-18:00", "08:00-x", "08:00-18:00 Mon Local", "08:00-18:00 Local", "08:00-18:00 Europe/Berlin UTC",
		"08:00-18:00 Mon Europe/Berlin x", "08:00-18:00 x-Mon", "24:00-24:00", "25:00-08:00",
	} {
		if h, err := parseHours(wrong); err == nil || h != nil {
			t.Errorf("%q: %v, %v", wrong, h, err)
		}
	}
	const friday, saturday = "2026-06-26T", "2026-06-27T"
	for _, x := range []struct {
		hours, at string
		want      bool
	}{
		{"22:00-06:00", friday + "06:00", false},
		{"22:00-06:00", friday + "12:00", false},
		{"22:00-06:00", friday + "21:59", false},
		{"22:00-06:00", friday + "22:00", true},
		{"22:00-06:00 Fri", saturday + "22:00", false},
		{"08:00-18:00 Fri", friday + "07:59", false},
		{"08:00-18:00 Fri", friday + "17:59", true},
		{"08:00-24:00 Fri", friday + "23:59", true},
	} {
		h, err := parseHours(x.hours)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02T15:04", x.at)
		if err != nil {
			t.Fatal(err)
		}
		if h.contain(at) != x.want {
			t.Errorf("%s at %s: want %v", x.hours, x.at, x.want)
		}
	}
}

// TestExpressionsMention: a token carries what expressions look at, so it has
// to be known.
func TestExpressionsMention(t *testing.T) {
	for text, want := range map[string]mentions{
		`"a" in principal.groups`:                          {groups: true},
		`"a" in principal.roles`:                           {roles: true},
		`claims.a == "x"`:                                  {claims: []string{"a"}},
		`claims["a"] == "x" && claims.a.claims == "y"`:     {claims: []string{"a", "a"}},
		`has(claims.a)`:                                    {claims: []string{"a"}},
		`claims[request.tag] == "x"`:                       {allClaims: true},
		`claims.a == "x" && claims[principal.name] == "x"`: {claims: []string{"a"}, allClaims: true},
		`"a" in claims`:                                    {allClaims: true},
		`{"a": "x"}["a"] == request.tag`:                   {},
		`principal.name == "a"`:                            {},
	} {
		x, err := compileExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := x.mentions
		if got.groups != want.groups || got.roles != want.roles || got.allClaims != want.allClaims || strings.Join(got.claims, " ") != strings.Join(want.claims, " ") {
			t.Errorf("%s: mentions %+v, want %+v", text, got, want)
		}
	}
}

// TestExpressionsSeeNothingUnread: what a credential did not tell is not taken
// for empty, whether a grant or a deny rule asks.
func TestExpressionsSeeNothingUnread(t *testing.T) {
	q := &Query{Repository: "a", Action: Pull, Digest: "sha256:x"}
	for name, test := range map[string]struct {
		who         *authn.Principal
		when        string
		grant, deny bool // allowed with a grant, and beside a deny rule
	}{
		"groups":           {&authn.Principal{Kind: authn.KindUser, Name: "x", GroupsUnread: true}, `!("a" in principal.groups)`, false, false},
		"groups, there":    {&authn.Principal{Kind: authn.KindUser, Name: "x"}, `!("a" in principal.groups)`, true, false},
		"roles":            {&authn.Principal{Kind: authn.KindUser, Name: "x", RolesUnread: true}, `!("a" in principal.roles)`, false, false},
		"roles of headers": {&authn.Principal{Kind: authn.KindUser, Name: "x", HeaderRolesUnread: true}, `!("a" in principal.roles)`, false, false},
		"roles, there":     {&authn.Principal{Kind: authn.KindUser, Name: "x", HeaderRoles: []string{"a"}}, `"a" in principal.roles`, true, false},
		"a digest":         {authn.Anonymous, `request.reference == "sha256:x"`, true, false},
		"no address":       {authn.Anonymous, `request.ip == ""`, false, false},
		"no claims":        {authn.Anonymous, `size(claims) == 0`, true, false},
		"the time":         {authn.Anonymous, `request.time > timestamp("2020-01-01T00:00:00Z")`, true, false},
	} {
		grant, deny := conditionalPolicies(t, Conditions{When: test.when})
		if got := grant.Decide(test.who, q).Allowed; got != test.grant {
			t.Errorf("%s: a grant allows %v", name, got)
		}
		if got := deny.Decide(test.who, q).Allowed; got != test.deny {
			t.Errorf("%s: beside a deny rule %v", name, got)
		}
	}
}
