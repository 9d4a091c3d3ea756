package authz

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestRandomConditions holds decisions under conditions (from, until, between,
// when) to a naive evaluation of them. A token that is issued allows what the
// request will be allowed, where the client's address is known: else it denies.
func TestRandomConditions(t *testing.T) {
	r, more := random(t)
	pick := func(l ...string) string { return l[r.IntN(len(l))] }
	type whenF struct {
		text string
		f    func(p *authn.Principal, q *Query, a Action) (bool, bool) // value, ok
		req  bool
	}
	claim := func(p *authn.Principal, k string) (any, bool) {
		if p == nil {
			return nil, false
		}
		v, ok := p.Claims[k]
		return v, ok
	}
	whens := []whenF{
		{"true", func(*authn.Principal, *Query, Action) (bool, bool) { return true, true }, false},
		{"request.action == 'push'", func(_ *authn.Principal, _ *Query, a Action) (bool, bool) { return a == Push, true }, false},
		{"request.tag.startsWith('v')", func(_ *authn.Principal, q *Query, _ Action) (bool, bool) { return strings.HasPrefix(q.Tag, "v"), true }, true},
		{"claims.x == 'a'", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			v, ok := claim(p, "x")
			s, isS := v.(string)
			return ok && isS && s == "a", ok
		}, false},
		{"has(claims.x) && claims['x'] == 'a'", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			v, ok := claim(p, "x")
			s, isS := v.(string)
			return ok && isS && s == "a", true
		}, false},
		{"[claims].exists(claims, claims.x == 'a')", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			v, ok := claim(p, "x")
			s, isS := v.(string)
			return ok && isS && s == "a", ok
		}, false},
		{"dyn(claims).x == 'a'", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			v, ok := claim(p, "x")
			s, isS := v.(string)
			return ok && isS && s == "a", ok
		}, false},
		{"claims.exists(k, k == 'secret')", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			_, ok := claim(p, "secret")
			return ok, true
		}, false},
		{"'dev' in principal.groups", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			return p != nil && slices.Contains(p.Groups, "dev"), true
		}, false},
		{"principal.groups.exists(g, claims[g] == 'a')", func(p *authn.Principal, _ *Query, _ Action) (bool, bool) {
			// or-semantics of CEL: true wins over errors
			if p == nil {
				return false, true
			}
			failed := false
			for _, g := range p.Groups {
				v, ok := claim(p, g)
				if !ok {
					failed = true
				} else if s, isS := v.(string); isS && s == "a" {
					return true, true
				}
			}
			return false, !failed
		}, false},
		{"request.ip == '10.0.0.1'", func(_ *authn.Principal, q *Query, _ Action) (bool, bool) {
			return q.Remote.IsValid() && q.Remote.Unmap().String() == "10.0.0.1", q.Remote.IsValid()
		}, false},
	}
	nets := []string{"10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::ffff:10.0.0.0/104", "0.0.0.0/0", "::/0"}
	day := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC) // around the change of clocks in Europe
	type rule struct {
		g    Grant
		deny bool
		when *whenF
	}
	policies, queries, allowed, issued := 0, 0, 0, 0
	for more() {
		policies++
		var rules []rule
		for range 1 + r.IntN(9) {
			x := rule{deny: r.IntN(3) == 0}
			x.g.Subjects = []string{pick("anyone", "authenticated", "user:a", "group:dev", "robot:a")}
			x.g.Actions = []string{pick("pull", "push", "delete", "*")}
			if x.deny && x.g.Actions[0] == "*" {
				x.g.Actions[0] = "push"
			}
			if r.IntN(3) == 0 {
				x.g.From = []string{pick(nets...)}
			}
			if r.IntN(4) == 0 {
				x.g.Until = pick("2026-03-27", "2026-03-28T10:00:00Z", "2026-03-29")
			}
			if r.IntN(4) == 0 {
				x.g.Between = pick("08:00-18:00", "22:00-06:00 Mon-Fri", "00:00-24:00 Sat", "23:30-00:30 Sun Europe/Berlin", "01:30-03:30 Sat-Mon Europe/Berlin", "18:00-24:00 Fri")
			}
			if r.IntN(2) == 0 {
				x.when = &whens[r.IntN(len(whens))]
				x.g.When = x.when.text
			}
			rules = append(rules, x)
		}
		cfg := Config{Projects: []Project{{Name: "x", Patterns: []string{"**"}}}}
		for _, x := range rules {
			if x.deny {
				cfg.Projects[0].Denies = append(cfg.Projects[0].Denies, x.g)
			} else {
				cfg.Projects[0].Grants = append(cfg.Projects[0].Grants, x.g)
			}
		}
		policy, err := Compile(cfg)
		if err != nil {
			t.Fatalf("%v: %+v", err, cfg)
		}
		for range 40 {
			queries++
			var p *authn.Principal
			if r.IntN(6) > 0 {
				p = &authn.Principal{Kind: authn.Kind(pick("user", "robot", "workload")), Name: pick("a", "b"), Claims: map[string]any{}}
				for _, g := range []string{"dev", "x", "y"} {
					if r.IntN(2) == 0 {
						p.Groups = append(p.Groups, g)
					}
				}
				for _, k := range []string{"x", "y", "secret"} {
					switch r.IntN(4) {
					case 0:
						p.Claims[k] = "a"
					case 1:
						p.Claims[k] = 7.0
					}
				}
			}
			q := &Query{Repository: "a/b", Action: []Action{Pull, Push, Delete, Pull | Push}[r.IntN(4)], Tags: []string{}, Time: day.Add(time.Duration(r.IntN(4*24*60)) * time.Minute), Absent: true}
			if r.IntN(2) == 0 {
				q.Tag = pick("v1", "x")
			}
			switch r.IntN(4) {
			case 0:
				q.Remote = netip.MustParseAddr("10.0.0.1")
			case 1:
				q.Remote = netip.MustParseAddr("::ffff:10.0.0.2")
			case 2:
				q.Remote = netip.MustParseAddr("2001:db8::1")
			}
			var have, denied Action
			for _, a := range []Action{Pull, Push, Overwrite, Delete, List, Manage} {
				for _, x := range rules {
					var acts Action
					for _, n := range x.g.Actions {
						if n == "*" {
							acts = AllActions
						} else {
							one, _ := ParseAction(n)
							acts |= one
						}
					}
					if !acts.Has(a) {
						continue
					}
					s := x.g.Subjects[0]
					is := s == "anyone"
					if p != nil {
						is = is || s == "authenticated" || s == string(p.Kind)+":"+p.Name || s == "group:dev" && slices.Contains(p.Groups, "dev")
					}
					if !is {
						continue
					}
					state := "yes"
					if len(x.g.From) > 0 {
						pre, err := netip.ParsePrefix(x.g.From[0])
						if err != nil {
							ad := netip.MustParseAddr(x.g.From[0])
							pre = netip.PrefixFrom(ad, ad.BitLen())
						}
						if pre.Addr().Is4In6() {
							pre = netip.PrefixFrom(pre.Addr().Unmap(), pre.Bits()-96)
						}
						switch {
						case !q.Remote.IsValid():
							state = "unclear"
						case !pre.Contains(q.Remote.Unmap()):
							state = "no"
						}
					}
					if x.g.Until != "" && state != "no" {
						u, err := time.Parse(time.DateOnly, x.g.Until)
						if err == nil {
							u = u.Add(24 * time.Hour)
						} else {
							u, _ = time.Parse(time.RFC3339, x.g.Until)
						}
						if !q.Time.Before(u) {
							state = "no"
						}
					}
					if x.g.Between != "" && state != "no" && !naiveBetween(x.g.Between, q.Time) {
						state = "no"
					}
					if x.when != nil && state != "no" {
						v, ok := x.when.f(p, q, a)
						switch {
						case !ok:
							state = "unclear"
						case !v:
							state = "no"
						}
					}
					switch {
					case x.deny && state != "no":
						denied |= a
					case !x.deny && state == "yes":
						have |= a
					}
				}
			}
			want := (have&^denied)&q.Action == q.Action
			got := policy.Decide(p, q)
			if got.Allowed != want {
				t.Fatalf("rules %+v\nprincipal %+v\nquery %+v\ngot %v (%s), want %v", cfg.Projects[0], p, q, got.Allowed, got.Reason(), want)
			}
			if again := policy.Decide(policy.Relevant(p), q); again.Allowed != got.Allowed {
				t.Fatalf("relevant: rules %+v\nprincipal %+v relevant %+v\nquery %+v\ngot %v, want %v", cfg.Projects[0], p, policy.Relevant(p), q, again.Allowed, want)
			}
			if got.Allowed {
				allowed++
				issue := &Query{Repository: q.Repository, Remote: q.Remote, Time: q.Time}
				if tok := policy.Allowed(p, issue); q.Remote.IsValid() && !tok.Has(q.Action) {
					t.Fatalf("token: rules %+v\nprincipal %+v\nquery %+v\nthe token has %v", cfg.Projects[0], p, q, tok)
				}
				issued++
			}
			x := policy.Explain(p, q)
			if x.Allowed != got.Allowed {
				t.Fatal("explain")
			}
		}
	}
	t.Logf("%d policies, %d queries, %d allowed, %d tokens", policies, queries, allowed, issued)
}

// naiveBetween reads what parseHours reads, in another way.
func naiveBetween(text string, at time.Time) bool {
	f := strings.Fields(text)
	zone := time.UTC
	days := "Sun-Sat"
	for _, x := range f[1:] {
		if strings.Contains(x, "/") {
			zone, _ = time.LoadLocation(x)
		} else {
			days = x
		}
	}
	names := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	on := map[int]bool{}
	for _, item := range strings.Split(days, ",") {
		a, b, ok := strings.Cut(item, "-")
		if !ok {
			b = a
		}
		for i := slices.Index(names, a); ; i = (i + 1) % 7 {
			on[i] = true
			if names[i] == b {
				break
			}
		}
	}
	var fh, fm, th, tm int
	_, _ = fmt.Sscanf(f[0], "%d:%d-%d:%d", &fh, &fm, &th, &tm)
	from, to := fh*60+fm, th*60+tm
	local := at.In(zone)
	m, d := local.Hour()*60+local.Minute(), int(local.Weekday())
	if from < to {
		return on[d] && m >= from && m < to
	}
	if m >= from {
		return on[d]
	}
	return m < to && on[(d+6)%7]
}

// TestRandomRelevantClaims: what Relevant leaves out of nested claims with dots in their names changes no look-up.
func TestRandomRelevantClaims(t *testing.T) {
	r, more := random(t)
	names := []string{"a", "b", "a.b", "b.a", "a.a"}
	var make1 func(depth int) any
	make1 = func(depth int) any {
		if depth > 2 || r.IntN(3) == 0 {
			return []any{"1", true, []any{"1", "2"}}[r.IntN(3)]
		}
		m := map[string]any{}
		for _, n := range names {
			if r.IntN(3) == 0 {
				m[n] = make1(depth + 1)
			}
		}
		return m
	}
	n := 0
	for more() {
		var paths, subjects []string
		for range 1 + r.IntN(4) {
			var parts []string
			for range 1 + r.IntN(3) {
				parts = append(parts, names[r.IntN(len(names))])
			}
			p := strings.Join(parts, ".")
			paths, subjects = append(paths, p), append(subjects, "claim:"+p+"=1")
		}
		policy, err := Compile(Config{Projects: []Project{{Name: "x", Patterns: []string{"**"}, Grants: []Grant{{Role: "guest", Subjects: subjects}}}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			n++
			claims, _ := make1(0).(map[string]any)
			if claims == nil {
				continue
			}
			p := &authn.Principal{Kind: authn.KindUser, Name: "u", Claims: claims}
			before := fmt.Sprint(claims)
			q := policy.Relevant(p)
			if fmt.Sprint(claims) != before {
				t.Fatal("the principal was changed")
			}
			for _, path := range paths {
				a, okA := p.Claim(path)
				b, okB := q.Claim(path)
				_, isMap := a.(map[string]any)
				if okA != okB || !isMap && fmt.Sprint(a) != fmt.Sprint(b) {
					t.Fatalf("%v of %v: %v %v, and of %v: %v %v (paths %v)", path, claims, a, okA, q.Claims, b, okB, paths)
				}
			}
		}
	}
	t.Log(n, "principals")
}
