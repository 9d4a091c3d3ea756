package authz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// dice makes configurations and queries that meet each other often.
type dice struct{ *rand.Rand }

func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

func (d dice) some(n int, from ...string) (list []string) {
	for range d.IntN(n + 1) {
		list = append(list, d.pick(from...))
	}
	return list
}

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d dice) pattern() string {
	text := ""
	for i := range 1 + d.IntN(4) {
		if i > 0 {
			text += "/"
		}
		s := d.pick("a", "b", "a-b", "*", "**", "a*", "*b", "a-*-b", "{user}", "x-{user}", "{claims.t.x}", "*-{claims.t.x}*", "{groups}", "g-{groups}")
		text += s
	}
	if _, err := parsePattern(text); err != nil {
		return "a/**"
	}
	return text
}

func (d dice) patterns() []string {
	list := []string{d.pattern()}
	if other := d.pattern(); other != list[0] && d.chance(30) {
		list = append(list, other)
	}
	return list
}

func (d dice) grant(deny bool) Grant {
	g := Grant{Shadow: d.chance(5)}
	g.Subjects = append(d.some(2, subjectsForDice...), d.pick(subjectsForDice...))
	switch {
	case deny:
		g.Actions = []string{d.pick("push", "delete", "overwrite")}
		if d.chance(30) {
			g.Actions = append(g.Actions, "pull")
			return g
		}
	case d.chance(50):
		g.Role = d.pick("guest", "developer", "maintainer", "project_admin", "sr-developer")
		if g.Role == "guest" {
			return g
		}
	default:
		g.Actions = append(d.some(3, AllActions.Names()...), "push")
	}
	if d.chance(30) {
		g.Tags = []string{d.pick("v*", "dev-*", "*", "v1")}
	}
	return g
}

var subjectsForDice = []string{
	"user:a", "user:b", "robot:a", "workload:a", "group:a", "group:b", "role:a",
	"claim:t.x=a", "claim:admin=true", "claim:list=b", "authenticated", "anyone",
}

func (d dice) config() Config {
	var cfg Config
	for i := range 1 + d.IntN(6) {
		p := Project{Name: fmt.Sprint(i), Patterns: d.patterns(), ReadOnly: d.chance(3)}
		for range d.IntN(7) {
			p.Grants = append(p.Grants, d.grant(false))
		}
		if d.chance(25) {
			p.Denies = append(p.Denies, d.grant(true))
		}
		if d.chance(20) {
			p.Immutable = []Immutable{{Tags: []string{d.pick("v*", "dev-1")}}}
		}
		cfg.Projects = append(cfg.Projects, p)
	}
	if d.chance(20) {
		cfg.Admins = []Admin{{Subjects: []string{d.pick(subjectsForDice[:10]...)}, Override: d.some(1, "immutable", "read_only")}}
	}
	if d.chance(10) {
		cfg.Denies = []Grant{d.grant(true)}
	}
	if d.chance(15) {
		cfg.AnonymousRead = []Read{{Patterns: d.patterns()}}
	}
	if d.chance(15) {
		cfg.AuthenticatedRead = []Read{{Patterns: d.patterns()}}
	}
	cfg.ReadOnly = d.chance(2)
	d.owners(&cfg)
	d.sources(&cfg)
	return cfg
}

// owners makes rules about owners.
func (d dice) owners(cfg *Config) {
	plain := func() []string { return d.some(2, "a/**", "**/b", "*", "a", "**", "x-*/**") }
	distinct := func() []string { return slices.Compact(slices.Sorted(slices.Values(plain()))) }
	for range d.IntN(3) {
		cfg.OwnerOnly = append(cfg.OwnerOnly, OwnerOnly{By: d.pick("repository", "namespace"), Patterns: distinct()})
	}
	for range d.IntN(3) {
		cfg.CreatorRoles = append(cfg.CreatorRoles, CreatorRole{Role: d.pick("guest", "developer", "maintainer"), Patterns: distinct()})
	}
}

// sources makes some rules stored role mappings and chooses where roles come
// from.
func (d dice) sources(cfg *Config) {
	for i := range cfg.Projects {
		for j := range cfg.Projects[i].Grants {
			g := &cfg.Projects[i].Grants[j]
			g.Mapped = d.chance(15) && !slices.Contains(g.Subjects, "anyone")
		}
	}
	for i := range cfg.Admins {
		cfg.Admins[i].Mapped = d.chance(20)
	}
	if d.chance(40) {
		return
	}
	all := []string{"token", "application", "header"}
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	cfg.RoleSources, cfg.FirstRoleSource = all[:1+d.IntN(3)], d.chance(50)
}

// facts are owners of some names and permissions of robots.
func (d dice) facts() someFacts {
	f := someFacts{owners: map[string]*Ownership{}, permissions: map[string]*Permissions{}}
	for range d.IntN(12) {
		p := d.principal()
		o := &Ownership{Principal: p.String(), Created: d.chance(60)}
		if d.chance(50) && p != nil {
			o.Identity = p.Identity().ID()
		}
		name := d.name()
		f.owners["repository/"+name] = o
		if d.chance(50) {
			f.owners["namespace/"+d.pick("a", "b", "a-b", "c")] = o
		}
	}
	for _, who := range []string{"robot:a", "robot:a/b", "user:a"} {
		list := []authn.Limit{{Type: "repository", Name: d.pick("a/**", "**/b", "*/b/**", "x-*"), Actions: []string{d.pick("pull", "push", "delete", "*")}}}
		if permissions, err := NewPermissions(who, list); err == nil && d.chance(50) {
			f.permissions[who] = permissions
		}
	}
	return f
}

func (d dice) name() string {
	if d.chance(3) {
		return d.pick("", "a//b", "../a", "a/..", "A", "a/*", "a b", "{user}", "a/", "**", "a..b")
	}
	text := ""
	for i := range 1 + d.IntN(4) {
		if i > 0 {
			text += "/"
		}
		text += d.pick("a", "b", "a-b", "a-x-b", "x-a", "g-a", "ab", "x-b", "c")
	}
	return text
}

func (d dice) principal() *authn.Principal {
	if d.chance(10) {
		return nil
	}
	p := &authn.Principal{
		Kind: authn.Kind(d.pick("user", "user", "robot", "workload", "anonymous")), Name: d.pick("a", "b", "a/b", "", "..", "*"),
		Groups: d.some(3, "a", "b", "c", "*", "a/b", ""), Roles: d.some(2, "a", "b"), HeaderRoles: d.some(1, "a", "b"),
		Issuer: d.pick("", "idp"), Subject: d.pick("", "1", "2"), Claims: map[string]any{},
		GroupsUnread: d.chance(15), RolesUnread: d.chance(15),
	}
	if d.chance(10) {
		p.Claims = nil
		return p
	}
	if d.chance(60) {
		p.Claims["t"] = map[string]any{"x": d.pick("a", "b", "", "**", "a/a", "..")}
	}
	if d.chance(20) {
		p.Claims["admin"] = d.chance(50)
	}
	if d.chance(20) {
		p.Claims["list"] = []any{"a", d.pick("b", "c"), 7.0}
	}
	if d.chance(20) {
		p.Limits = []authn.Limit{}
		for range d.IntN(3) {
			p.Limits = append(p.Limits, authn.Limit{
				Type: d.pick("repository", "repository", "registry"), Name: d.pick("a", "a/**", "**", "*/b", "**/b/**", "a/*/b", d.name()),
				Actions: d.some(3, "pull", "push", "delete", "*", "list", "manage", "overwrite", "nonsense"),
			})
		}
	}
	return p
}

func (d dice) query() *Query {
	q := &Query{Repository: d.name(), Action: 1 << d.IntN(6), Absent: d.chance(20)}
	if d.chance(10) {
		q.Action |= 1 << d.IntN(6)
	}
	if d.chance(50) {
		q.Tag = d.pick("v1", "v2", "dev-1", "latest")
	}
	if d.chance(20) {
		q.Tags = append([]string{}, d.some(2, "v1", "dev-1", "x")...)
	}
	return q
}

// FuzzDecide compares the engine with the naive reference.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		cfg := d.config()
		policy, err := Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ref := reference{cfg: cfg}
		if d.chance(80) {
			facts := d.facts()
			policy, ref.facts = policy.With(facts), facts
		}
		for range 50 {
			p, q := d.principal(), d.query()
			wantAllowed, wantAsk := ref.decide(p, q)
			got := policy.Decide(p, q)
			if got.Allowed != wantAllowed || got.Ask != wantAsk {
				t.Fatalf("config %+v\nprincipal %+v\nquery %+v\ngot %v ask %d (%s), want %v ask %d",
					cfg, p, q, got.Allowed, got.Ask, got.Reason(), wantAllowed, wantAsk)
			}
			consistent(t, policy, p, q, &got)
		}
	})
}

// consistent checks that all ways to ask agree.
func consistent(t *testing.T, policy *Policy, p *authn.Principal, q *Query, got *Decision) {
	t.Helper()
	if got.Allowed != (got.Missing == 0 && q.Action != 0) || got.Allowed && (got.Ask != AskNothing || got.Rule == nil) {
		t.Fatalf("a decision that contradicts itself: %+v", *got)
	}
	if again := policy.DecideFor(policy.Resolve(p), q); again.Allowed != got.Allowed || again.Ask != got.Ask || again.Rule != got.Rule {
		t.Fatalf("resolved: %v, want %v", again.Reason(), got.Reason())
	}
	if again := policy.Decide(policy.Relevant(p), q); again.Allowed != got.Allowed || again.Ask != got.Ask {
		t.Fatalf("relevant: %v, want %v", again.Reason(), got.Reason())
	}
	if allowed := policy.Allowed(p, &Query{Repository: q.Repository}); got.Allowed && !allowed.Has(q.Action) {
		t.Fatalf("token would allow %v only, %v is allowed", allowed, q.Action)
	}
	x := policy.Explain(p, q)
	if x.Allowed != got.Allowed || x.Reason() != got.Reason() {
		t.Fatalf("explained: %v, want %v", x.Reason(), got.Reason())
	}
}

// FuzzPattern compares the matchers of trie, limits and reference, on
// whatever parses as a pattern.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"a/**", "**/b", "a/**/b/**/c", "*/x-*/{user}", "a*b*c/{claims.t.x}", "**", "{groups}/**"} {
		f.Add(p, "a/b/c", "a")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		p, err := parsePattern(text)
		if err != nil || !validRepository(name) {
			return
		}
		var x index
		place := x.add(p)
		who := &authn.Principal{
			Kind: authn.KindUser, Name: value, Groups: []string{value, "other"},
			Claims: map[string]any{"t": map[string]any{"x": value}},
		}
		got := false
		for _, at := range x.match(name, who, nil) {
			got = got || at == place
		}
		if want := (reference{}).pattern(text, name, who, false); got != want && placeholdersKnown(p) {
			t.Fatalf("%q on %q with %q: %v, want %v", text, name, value, got, want)
		}
		if !p.placeholders() && matchPattern(text, name) != got {
			t.Fatalf("%q on %q as a limit: %v, want %v", text, name, !got, got)
		}
	})
}

// placeholdersKnown reports whether the reference reads the pattern's
// placeholders: it finds plain claim paths only.
func placeholdersKnown(p pattern) bool {
	for _, s := range p.segments {
		for _, q := range s.parts {
			if q.kind == partClaim && q.text != "t.x" {
				return false
			}
		}
	}
	return true
}
