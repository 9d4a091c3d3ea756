package authz

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// conditional is a policy with one grant and, alike, one deny rule.
func conditionalPolicies(t *testing.T, c Conditions) (grant, deny *Policy) {
	t.Helper()
	everybody := Grant{Actions: []string{"pull"}, Subjects: []string{"anyone"}}
	restricted := everybody
	restricted.Conditions = c
	grant = mustCompile(t, Config{Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{restricted}}}})
	deny = mustCompile(t, Config{Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{everybody}, Denies: []Grant{restricted}}}})
	return grant, deny
}

func TestFrom(t *testing.T) {
	grant, deny := conditionalPolicies(t, Conditions{From: []string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "::ffff:198.51.100.0/120"}})
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "2001:db8::1": true, "2001:db9::1": false,
		"192.0.2.7": true, "192.0.2.8": false, "198.51.100.9": true, "fe80::1%eth0": false, "": false,
	} {
		remote, _ := netip.ParseAddr(addr)
		q := &Query{Repository: "a", Action: Pull, Remote: remote}
		if got := grant.Decide(nil, q).Allowed; got != want {
			t.Errorf("grant from %s: %v", addr, got)
		}
		// An unknown address does not help the one who asks.
		if got := deny.Decide(nil, q).Allowed; got != (!want && addr != "") {
			t.Errorf("deny from %s: %v", addr, got)
		}
	}
}

// TestUnknownAddressHelpsNobody: where the client's address is not known, what
// depends on it grants nothing and denies, in whatever it is written.
func TestUnknownAddressHelpsNobody(t *testing.T) {
	who := &authn.Principal{Kind: authn.KindUser, Name: "a", Claims: map[string]any{"x": "a"}}
	for _, x := range []struct {
		c     Conditions
		never bool // it holds from nowhere
	}{
		{Conditions{From: []string{"10.0.0.0/8"}}, false},
		{Conditions{From: []string{"10.0.0.0/8"}, When: `claims.x == "a"`}, false},
		{Conditions{From: []string{"10.0.0.0/8"}, When: `claims.missing == "a"`}, false},
		{Conditions{From: []string{"10.0.0.0/8"}, When: `claims.x == "b"`}, true},
		{Conditions{From: []string{"10.0.0.0/8"}, Until: "2020-01-01"}, true},
		{Conditions{When: `request.ip == "10.0.0.1"`}, false},
		{Conditions{When: `!request.ip.startsWith("10.")`}, false},
		{Conditions{When: `request.ip != "10.0.0.1" && claims.x == "a"`}, false},
	} {
		grant, deny := conditionalPolicies(t, x.c)
		q := &Query{Repository: "a", Action: Pull}
		if grant.Decide(who, q).Allowed {
			t.Errorf("%+v: the grant helps", x.c)
		}
		if deny.Decide(who, q).Allowed != x.never {
			t.Errorf("%+v: the denial leaves %v", x.c, !x.never)
		}
	}
}

func TestUntilAndBetween(t *testing.T) {
	for _, x := range []struct {
		c    Conditions
		at   string
		want bool
	}{
		{Conditions{Until: "2026-06-30"}, "2026-06-30T23:59:59Z", true},
		{Conditions{Until: "2026-06-30"}, "2026-07-01T00:00:00Z", false},
		{Conditions{Until: "2026-06-30T12:00:00+02:00"}, "2026-06-30T09:59:59Z", true},
		{Conditions{Until: "2026-06-30T12:00:00+02:00"}, "2026-06-30T10:00:00Z", false},
		{Conditions{Between: "08:00-18:00"}, "2026-06-30T08:00:00Z", true},
		{Conditions{Between: "08:00-18:00"}, "2026-06-30T18:00:00Z", false},
		{Conditions{Between: "08:00-18:00 Mon-Fri"}, "2026-06-27T12:00:00Z", false}, // Saturday
		{Conditions{Between: "08:00-18:00 mon-fri,Sat"}, "2026-06-27T12:00:00Z", true},
		{Conditions{Between: "08:00-18:00 Sat-Mon"}, "2026-06-28T12:00:00Z", true},
		{Conditions{Between: "08:00-18:00 Europe/Berlin"}, "2026-06-30T06:30:00Z", true},
		{Conditions{Between: "08:00-18:00 Mon-Fri Europe/Berlin"}, "2026-06-30T16:30:00Z", false},
		{Conditions{Between: "08:00-18:00 WET"}, "2026-01-30T08:30:00Z", true},
		{Conditions{Between: "22:00-06:00 Fri"}, "2026-06-27T05:59:00Z", true},  // Friday's night
		{Conditions{Between: "22:00-06:00 Fri"}, "2026-06-26T05:59:00Z", false}, // Thursday's
		{Conditions{Between: "22:00-06:00 Fri"}, "2026-06-26T22:00:00Z", true},
		{Conditions{Between: "00:00-24:00 Sun"}, "2026-06-28T23:59:59Z", true},
		{Conditions{Between: "08:00-18:00", Until: "2026-06-01"}, "2026-06-30T12:00:00Z", false},
	} {
		now, err := time.Parse(time.RFC3339, x.at)
		if err != nil {
			t.Fatal(err)
		}
		grant, deny := conditionalPolicies(t, x.c)
		q := &Query{Repository: "a", Action: Pull, Time: now}
		if got := grant.Decide(nil, q).Allowed; got != x.want {
			t.Errorf("%+v at %s: %v", x.c, x.at, got)
		}
		if got := deny.Decide(nil, q).Allowed; got == x.want {
			t.Errorf("deny %+v at %s: %v", x.c, x.at, got)
		}
	}
}

func TestWhen(t *testing.T) {
	who := &authn.Principal{
		Kind: authn.KindWorkload, Name: "github", Issuer: "https://i", Subject: "s", Groups: []string{"g"}, Authenticator: "w", Credential: "id_token",
		Claims: map[string]any{"ref": "refs/heads/main", "run": 7.0, "list": []any{"a"}, "nested": map[string]any{"x": true}, "null": nil},
	}
	q := &Query{
		Repository: "acme/app", Action: Pull, Tag: "v1", Digest: "sha256:x", Remote: netip.MustParseAddr("::ffff:10.0.0.1"),
		UserAgent: "docker/29", Method: "GET", Time: time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC),
	}
	const undefined = -1
	for when, want := range map[string]int{
		`claims.ref == "refs/heads/main"`:                          1,
		`claims.ref == "x"`:                                        0,
		`claims["ref"].startsWith("refs/heads/")`:                  1,
		`claims.run == 7 && "a" in claims.list && claims.nested.x`: 1,
		`claims.missing == "x"`:                                    undefined,
		`has(claims.missing) && claims.missing == "x"`:             0,
		`claims.ref`:             undefined,
		`claims["null"] == null`: 1,
		`claims.ref.matches("^refs/heads/(main|release-.*)$")`:                 1,
		`principal.kind == "workload" && principal.name == "github"`:           1,
		`principal.issuer + principal.subject == "https://is"`:                 1,
		`principal.authenticator == "w" && principal.credential == "id_token"`: 1,
		`"g" in principal.groups && size(principal.roles) == 0`:                1,
		`request.repository.split`:                                             undefined - 1,
		`request.action == "pull" && request.type == "repository"`:             1,
		`request.reference == "v1" && request.tag == "v1"`:                     1,
		`request.digest == "sha256:x" && request.method == "GET"`:              1,
		`request.ip == "10.0.0.1" && request.user_agent.contains("docker")`:    1,
		`request.time < timestamp("2026-07-01T00:00:00Z")`:                     1,
		`request.time.getHours("Europe/Berlin") == 14`:                         1,
		`claims.list.all(x, claims.list.all(y, x == y))`:                       1,
		`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, a+b+c+d+e+f > 0))))))`: undefined - 1, // too much
		`1 / 0 == 1`:            undefined,
		`principal == "x"`:      undefined - 1,
		`request.nothing`:       undefined - 1,
		`principal.nmae == "x"`: undefined - 1,
		`claims.ref = "x"`:      undefined - 1,
		`"text"`:                undefined - 1,
		`request.action == 1`:   undefined - 1,
		strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500): undefined - 1,
	} {
		cfg := Config{Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{{
			Role: "guest", Subjects: []string{"anyone"}, Conditions: Conditions{When: when}, Source: "Caddyfile:9",
		}}}}}
		if _, err := Compile(cfg); err != nil || want < undefined {
			if err == nil || want >= undefined || !strings.HasPrefix(err.Error(), "Caddyfile:9: ") {
				t.Errorf("%s: %v", when, err)
			}
			continue
		}
		grant, deny := conditionalPolicies(t, Conditions{When: when})
		if got := grant.Decide(who, q).Allowed; got != (want == 1) {
			t.Errorf("%s: grant %v, want %d", when, got, want)
		}
		if got := deny.Decide(who, q).Allowed; got != (want == 0) {
			t.Errorf("%s: deny leaves %v, want %d", when, got, want)
		}
		grant.Decide(nil, q)
		grant.Decide(nil, &Query{Repository: "a", Action: Pull})
	}
}

func TestCompileErrors(t *testing.T) {
	grant := func(g Grant) Config {
		g.Source = "Caddyfile:5"
		return Config{Projects: []Project{{Patterns: []string{"a/**"}, Grants: []Grant{g}, Source: "Caddyfile:4"}}}
	}
	good := Grant{Role: "guest", Subjects: []string{"anyone"}}
	with := func(c Conditions) Config {
		g := good
		g.Conditions = c
		return grant(g)
	}
	pattern := func(text string) Config {
		return Config{Projects: []Project{{Patterns: []string{text}, Source: "Caddyfile:4", Grants: []Grant{good}}}}
	}
	for _, x := range []struct {
		cfg  Config
		want string
	}{
		{grant(Grant{Role: "develloper", Subjects: []string{"anyone"}}), `Caddyfile:5: project "a/**": grant: unknown role "develloper": did you mean "developer"?`},
		{grant(Grant{Role: "xxxxxxxxx", Subjects: []string{"anyone"}}), `unknown role "xxxxxxxxx": want one of admin, developer,`},
		{grant(Grant{Actions: []string{"psuh"}, Subjects: []string{"anyone"}}), `unknown action "psuh": did you mean "push"?`},
		{grant(Grant{Role: "guest", Actions: []string{"pull"}, Subjects: []string{"anyone"}}), "want one of the two"},
		{grant(Grant{Subjects: []string{"anyone"}}), "neither role nor actions"},
		{grant(Grant{Role: "guest"}), "no subject"},
		{grant(Grant{Role: "guest", Subjects: []string{"grup:dev"}}), `Caddyfile:5: subject "grup:dev": unknown subject kind "grup": did you mean "group"?`},
		{grant(Grant{Role: "guest", Subjects: []string{"anyon"}}), `did you mean "anyone"?`},
		{grant(Grant{Role: "guest", Subjects: []string{"user:"}}), "the name is missing"},
		{grant(Grant{Role: "guest", Subjects: []string{"claim:x"}}), "want claim:path=value"},
		{grant(Grant{Role: "guest", Subjects: []string{"anyone"}, Tags: []string{"v*"}}), "tags restrict push, overwrite and delete only"},
		{grant(Grant{Role: "developer", Subjects: []string{"anyone"}, Tags: []string{"v/1"}}), "can be part of no tag"},
		{with(Conditions{From: []string{"10.0.0.1/8"}}), `did you mean "10.0.0.0/8"?`},
		{with(Conditions{From: []string{"localhost"}}), "want a network"},
		{with(Conditions{Until: "tomorrow"}), "want 2006-01-31"},
		{with(Conditions{Between: "8-18"}), "is not an hour and minute"},
		{with(Conditions{Between: "08:00-18:00 Mon-Fry"}), `unknown day "Fry"`},
		{with(Conditions{Between: "08:00-18:00 Europe/Nowhere"}), `unknown time zone "Europe/Nowhere"`},
		{with(Conditions{Between: "08:00-08:00"}), "the hours are empty"},
		{with(Conditions{When: `clams.x == "y"`}), `unknown name "clams": did you mean "claims"?`},
		{pattern(""), "empty"},
		{pattern("/a"), "empty path segment"},
		{pattern("a//b"), "empty path segment"},
		{pattern("a/"), "empty path segment"},
		{pattern("Team/**"), "can be part of no repository name"},
		{pattern("a/../b"), "can be part of no repository name"},
		{pattern("a/b**"), "** stands alone"},
		{pattern("a/**/**"), "** twice in a row"},
		{pattern("{usr}/**"), `did you mean "{user}"?`},
		{pattern("{user/**"), "without closing }"},
		{pattern("{claims.}/**"), "unknown placeholder"},
		{pattern("{groups}/{groups}"), "{groups} more than once"},
		{pattern(strings.Repeat("a", 600)), "longer than"},
		{Config{Projects: []Project{{Name: "x", Source: "Caddyfile:4"}}}, `Caddyfile:4: project "x": no pattern`},
		{Config{Projects: []Project{{Patterns: []string{"a", "a"}}}}, `pattern "a" twice`},
		{Config{Projects: []Project{{Patterns: []string{"a"}, Source: "Caddyfile:4"}, {Patterns: []string{"a"}, Source: "Caddyfile:9"}}}, `Caddyfile:9: project "a": there is one already at Caddyfile:4`},
		{Config{Projects: []Project{{Name: "x", Patterns: []string{"a"}}, {Name: "x", Patterns: []string{"b"}}}}, "there is one already"},
		{Config{Projects: []Project{{Patterns: []string{"a"}, Immutable: []Immutable{{Source: "Caddyfile:6"}}}}}, "Caddyfile:6: immutable: no tag pattern"},
		{Config{Roles: []Role{{Name: "r", Source: "Caddyfile:3"}}}, `Caddyfile:3: role "r" grants nothing`},
		{Config{Roles: []Role{{Name: "guest", Actions: []string{"pull"}}}}, "built in"},
		{Config{Roles: []Role{{Name: "r", Actions: []string{"pull"}}, {Name: "r", Actions: []string{"pull"}}}}, "defined twice"},
		{Config{Roles: []Role{{Name: "a:b", Actions: []string{"pull"}}}}, "want a word"},
		{Config{Admins: []Admin{{Source: "Caddyfile:2"}}}, "Caddyfile:2: admin: no subject"},
		{Config{Admins: []Admin{{Subjects: []string{"anyone"}}}}, `"anyone" cannot be administrators`},
		{Config{Admins: []Admin{{Subjects: []string{"user:a"}, Override: []string{"readonly"}}}}, `did you mean "read_only"?`},
		{Config{AnonymousRead: []Read{{}}}, "anonymous_read: no pattern"},
		{Config{AnonymousRead: []Read{{Patterns: []string{"A"}, Source: "Caddyfile:2"}}}, "Caddyfile:2: anonymous_read: pattern"},
		{Config{Catalog: "filter"}, `did you mean "filtered"?`},
		{Config{Denies: []Grant{{Actions: []string{"pull"}, Subjects: []string{"anyone"}, Tags: []string{"v*"}, Source: "Caddyfile:2"}}}, "Caddyfile:2: deny: tags restrict"},
		{Config{Denies: []Grant{{Actions: []string{"push", "pull"}, Subjects: []string{"anyone"}, Tags: []string{"v*"}}}}, "can take push, overwrite and delete only"},
	} {
		_, err := Compile(x.cfg)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("want %q, got: %v", x.want, err)
		}
	}
	// All mistakes are named at once.
	_, err := Compile(Config{
		Roles:    []Role{{Name: "empty"}},
		Projects: []Project{{Patterns: []string{"A"}, Grants: []Grant{{Role: "empty", Subjects: []string{"x:y"}}}}},
	})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three mistakes, got: %v", err)
	}
}
