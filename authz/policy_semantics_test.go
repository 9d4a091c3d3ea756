package authz

import (
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// expect is one line of a table: who may do what.
type expect struct {
	who        *authn.Principal
	action     Action
	repository string
	tag        string
	allowed    bool
}

func check(t *testing.T, p *Policy, table []expect) {
	t.Helper()
	for _, x := range table {
		d := p.Decide(x.who, &Query{Repository: x.repository, Action: x.action, Tag: x.tag})
		if d.Allowed != x.allowed {
			t.Errorf("%s %s %s:%s: %v (%s), want %v", x.who, x.action, x.repository, x.tag, d.Allowed, d.Reason(), x.allowed)
		}
	}
}

func withRoles(p *authn.Principal, roles ...string) *authn.Principal {
	out := *p
	out.Roles = roles
	return &out
}

func withClaims(p *authn.Principal, claims map[string]any) *authn.Principal {
	out := *p
	out.Claims = claims
	return &out
}

// TestApicurioOrder follows AuthorizedInterceptor: anonymous read, admin
// override, authenticated read, roles.
func TestApicurioOrder(t *testing.T) {
	p := mustCompile(t, Config{
		Admins: []Admin{
			{Subjects: []string{"role:sr-admin"}},
			{Subjects: []string{"claim:org-admin=true"}},
			{Subjects: []string{"user:root"}},
			{Subjects: []string{"group:platform"}},
		},
		AnonymousRead:     []Read{{Patterns: []string{"public/**"}}},
		AuthenticatedRead: []Read{{Patterns: []string{"**"}}},
		Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{
			{Role: "sr-developer", Subjects: []string{"role:sr-developer"}},
			{Role: "sr-readonly", Subjects: []string{"role:sr-readonly"}},
		}}},
	})
	alice := user("alice")
	check(t, p, []expect{
		{nil, Pull, "public/app", "", true},
		{nil, Push, "public/app", "", false},
		{nil, Pull, "internal/app", "", false},
		{alice, Pull, "internal/app", "", true},
		{alice, Push, "internal/app", "", false},
		{withRoles(alice, "sr-developer"), Push, "internal/app", "", true},
		{withRoles(alice, "sr-developer"), Delete, "internal/app", "", true},
		{withRoles(alice, "sr-developer"), Manage, "internal/app", "", false},
		{withRoles(alice, "sr-readonly"), Pull, "internal/app", "", true},
		{withRoles(alice, "sr-readonly"), Push, "internal/app", "", false},
		{withRoles(alice, "sr-admin"), Manage, "internal/app", "", true},
		{withClaims(alice, map[string]any{"org-admin": true}), Delete, "a/b", "", true},
		{withClaims(alice, map[string]any{"org-admin": "true"}), Delete, "a/b", "", true},
		{withClaims(alice, map[string]any{"org-admin": false}), Delete, "a/b", "", false},
		{user("root"), Delete, "a/b", "", true},
		{robot("root"), Delete, "a/b", "", false},
		{user("x", "platform"), Delete, "a/b", "", true},
	})
}

func TestSubjects(t *testing.T) {
	for subject, claims := range map[string]map[string]any{
		"claim:a.b=x":              {"a": map[string]any{"b": "x"}},
		"claim:a.c=x":              {"a.c": []any{"y", "x"}},
		"claim:n=20":               {"n": 20.0},
		"claim:n=1.5":              {"n": []any{1.5}},
		"claim:https://e.org/r=ok": {"https://e.org/r": "ok"},
		"claim:eq=a=b":             {"eq": "a=b"},
	} {
		p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{{Role: "guest", Subjects: []string{subject}}}}}})
		check(t, p, []expect{
			{withClaims(user("a"), claims), Pull, "x", "", true},
			{withClaims(user("a"), map[string]any{}), Pull, "x", "", false},
			{withClaims(user("a"), map[string]any{"a": "x", "n": map[string]any{}, "eq": nil}), Pull, "x", "", false},
		})
	}
	// Kinds are namespaces of their own, however many ids there are.
	var grants []Grant
	for _, s := range []string{"user:ci", "robot:bot", "workload:job", "group:g", "role:r", "authenticated"} {
		grants = append(grants, Grant{Role: "guest", Subjects: []string{s}})
	}
	for i, g := range grants[:5] {
		p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"a/*"}, Grants: []Grant{g}}}})
		for j, who := range []*authn.Principal{
			user("ci"), robot("bot"), {Kind: authn.KindWorkload, Name: "job"}, user("x", "g"), withRoles(user("x"), "r"),
		} {
			check(t, p, []expect{{who, Pull, "a/b", "", i == j}})
		}
	}
}

func TestPlaceholders(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{
		{Patterns: []string{"users/{user}/**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"authenticated", "anyone"}}}},
		{Patterns: []string{"{groups}/**", "teams/team-{groups}"}, Grants: []Grant{{Role: "developer", Subjects: []string{"authenticated"}}}},
		{Patterns: []string{"ci/{claims.ci.project}/*"}, Grants: []Grant{{Role: "developer", Subjects: []string{"workload:gitlab"}}}},
	}})
	job := func(project any) *authn.Principal {
		return &authn.Principal{Kind: authn.KindWorkload, Name: "gitlab", Claims: map[string]any{"ci": map[string]any{"project": project}}}
	}
	check(t, p, []expect{
		{user("alice"), Push, "users/alice/app", "", true},
		{user("alice"), Push, "users/alice/deep/app", "", true},
		{user("alice"), Push, "users/alice", "", false},
		{user("alice"), Push, "users/alice2/app", "", false},
		{user("alice"), Push, "users/bob/app", "", false},
		{robot("alice"), Push, "users/alice/app", "", false},
		{nil, Push, "users//app", "", false},
		{user(""), Push, "users/app", "", false},
		{user("*"), Push, "users/alice/app", "", false},
		{user("**"), Push, "users/alice/app", "", false},
		{user(".."), Push, "users/../app", "", false},
		{user("alice/app"), Push, "users/alice/app/x", "", false},
		{user("Alice"), Push, "users/alice/app", "", false},
		{user("alice@example.com"), Push, "users/alice@example.com/app", "", false},
		{user("x", "dev", "ops"), Push, "ops/app", "", true},
		{user("x", "dev", "ops"), Push, "teams/team-dev", "", true},
		{user("x", "dev", "ops"), Push, "teams/team-other", "", false},
		{user("x", "", "*", "a/b"), Push, "a/b/c", "", false},
		{user("x"), Push, "ops/app", "", false},
		{job("shop"), Push, "ci/shop/app", "", true},
		{job("shop"), Push, "ci/shop/a/b", "", false},
		{job("acme/shop"), Push, "ci/acme/shop", "", false},
		{job(""), Push, "ci/x/app", "", false},
		{job([]any{"shop"}), Push, "ci/shop/app", "", false},
		{job(true), Push, "ci/true/app", "", false},
		{job(nil), Push, "ci/shop/app", "", false},
	})
}

func TestDenyAdminProtections(t *testing.T) {
	p := mustCompile(t, Config{
		Admins: []Admin{
			{Subjects: []string{"user:root"}},
			{Subjects: []string{"user:super", "user:root2"}, Override: []string{"immutable", "read_only"}},
			{Subjects: []string{"user:night"}, Conditions: Conditions{From: []string{"192.0.2.0/24"}}},
		},
		Projects: []Project{
			{Patterns: []string{"a/**"}, Immutable: []Immutable{{Tags: []string{"v*"}}}, Grants: []Grant{
				{Role: "maintainer", Subjects: []string{"authenticated"}},
				{Actions: []string{"pull", "push"}, Subjects: []string{"anyone"}},
			}, Denies: []Grant{{Actions: []string{"push", "overwrite"}, Subjects: []string{"user:mallory"}}}},
			{Patterns: []string{"frozen/**"}, ReadOnly: true, Grants: []Grant{{Role: "maintainer", Subjects: []string{"authenticated"}}}},
		},
		Denies: []Grant{{Actions: []string{"delete"}, Subjects: []string{"group:interns"}}},
	})
	alice := user("alice")
	check(t, p, []expect{
		{alice, Push, "a/x", "", true},
		{user("mallory"), Push, "a/x", "", false},
		{user("mallory"), Pull, "a/x", "", true},
		{user("root"), Push, "b/x", "", true},
		{alice, Delete, "a/x", "tmp", true},
		{user("i", "interns"), Delete, "a/x", "tmp", false},
		{user("root", "interns"), Delete, "a/x", "tmp", true},
		{alice, Delete, "a/x", "v1", false},
		{user("root"), Delete, "a/x", "v1", false},
		{user("super"), Delete, "a/x", "v1", true},
		{alice, Push, "frozen/x", "", false},
		{alice, Pull, "frozen/x", "", true},
		{user("root"), Push, "frozen/x", "", false},
		{user("super"), Push, "frozen/x", "", true},
		{user("night"), Pull, "b/x", "", false},
	})
	if d := p.Decide(user("night"), &Query{Repository: "b/x", Action: Pull, Remote: netip.MustParseAddr("192.0.2.7")}); !d.Allowed || d.Rule.Kind != RuleAdmin {
		t.Errorf("administrator from the right address: %s", d.Reason())
	}
}

func TestTags(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{
		Patterns: []string{"a/**"}, Immutable: []Immutable{{Tags: []string{"v*"}, Source: "Caddyfile:7"}},
		Grants: []Grant{
			{Role: "maintainer", Subjects: []string{"group:dev"}, Tags: []string{"dev-*"}},
			{Role: "maintainer", Subjects: []string{"group:all"}},
			{Actions: []string{"pull", "push"}, Subjects: []string{"group:new"}},
		},
	}}})
	dev, all, onlyNew := user("d", "dev"), user("a", "all"), user("n", "new")
	for _, x := range []struct {
		name    string
		who     *authn.Principal
		q       Query
		allowed bool
		ask     Ask
	}{
		{"blob upload", dev, Query{Action: Push}, true, AskNothing},
		{"push dev tag", dev, Query{Action: Push, Tag: "dev-1"}, true, AskNothing},
		{"push other tag", dev, Query{Action: Push, Tag: "v1"}, false, AskNothing},
		{"push untagged manifest", dev, Query{Action: Push, Digest: "sha256:x"}, true, AskNothing},
		{"push by digest with tags", dev, Query{Action: Push, Digest: "sha256:x", Tags: []string{"dev-1", "v1"}}, false, AskNothing},
		{"push by digest with dev tags", dev, Query{Action: Push, Digest: "sha256:x", Tags: []string{"dev-1", "dev-2"}}, true, AskNothing},
		{"pull is not about tags", dev, Query{Action: Pull, Tag: "v1"}, true, AskNothing},
		{"delete by digest", dev, Query{Action: Delete, Digest: "sha256:x"}, false, AskTags},
		{"delete by digest of dev tags", dev, Query{Action: Delete, Digest: "sha256:x", Tags: []string{"dev-1"}}, true, AskNothing},
		{"delete by digest of untagged", dev, Query{Action: Delete, Digest: "sha256:x", Tags: []string{}}, false, AskNothing},
		{"delete by digest of a protected tag", all, Query{Action: Delete, Digest: "sha256:x", Tags: []string{"x", "v1"}}, false, AskNothing},
		{"delete by digest, not asked yet", all, Query{Action: Delete, Digest: "sha256:x"}, false, AskTags},
		{"delete by digest of untagged by all", all, Query{Action: Delete, Digest: "sha256:x", Tags: []string{}}, true, AskNothing},
		{"push immutable", all, Query{Action: Push, Tag: "v1"}, false, AskAbsent},
		{"push immutable that is new", all, Query{Action: Push, Tag: "v1", Absent: true}, true, AskNothing},
		{"push tags, one immutable", all, Query{Action: Push, Digest: "sha256:x", Tags: []string{"latest", "v1"}}, false, AskAbsent},
		{"overwrite immutable", all, Query{Action: Overwrite, Tag: "v1"}, false, AskNothing},
		{"push over a tag", all, Query{Action: Push, Tag: "latest"}, true, AskNothing},
		{"push without overwrite", onlyNew, Query{Action: Push, Tag: "latest"}, false, AskAbsent},
		{"push without overwrite, new", onlyNew, Query{Action: Push, Tag: "latest", Absent: true}, true, AskNothing},
	} {
		x.q.Repository = "a/x"
		d := p.Decide(x.who, &x.q)
		if d.Allowed != x.allowed || d.Ask != x.ask {
			t.Errorf("%s: %v ask %d (%s), want %v ask %d", x.name, d.Allowed, d.Ask, d.Reason(), x.allowed, x.ask)
		}
	}
	if r, ok := p.Immutable("a/x", "v1"); !ok || r.Source != "Caddyfile:7" {
		t.Errorf("immutable v1: %v, %v", r, ok)
	}
	for _, x := range [][2]string{{"a/x", "latest"}, {"b/x", "v1"}, {"a/../a", "v1"}} {
		if _, ok := p.Immutable(x[0], x[1]); ok {
			t.Errorf("%v is immutable", x)
		}
	}
	d := p.Decide(all, &Query{Repository: "a/x", Action: Push, Tag: "v1"})
	if want := "overwrite on a/x:v1 refused by project a/** immutable v* (Caddyfile:7)"; d.Reason() != want {
		t.Errorf("reason %q, want %q", d.Reason(), want)
	}
}

func TestLimits(t *testing.T) {
	p := mustCompile(t, Config{
		Admins:   []Admin{{Subjects: []string{"user:root"}}},
		Projects: []Project{{Patterns: []string{"a/**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"authenticated"}}}}},
	})
	limited := func(name string, limits ...authn.Limit) *authn.Principal {
		who := user(name)
		who.Limits = append([]authn.Limit{}, limits...)
		return who
	}
	pull := authn.Limit{Type: "repository", Name: "a/x", Actions: []string{"pull"}}
	push := authn.Limit{Type: "repository", Name: "a/**", Actions: []string{"push", "nonsense"}}
	check(t, p, []expect{
		{limited("alice"), Pull, "a/x", "", false},
		{limited("root"), Pull, "a/x", "", false},
		{limited("alice", pull), Pull, "a/x", "", true},
		{limited("alice", pull), List, "a/x", "", true},
		{limited("alice", pull), Push, "a/x", "", false},
		{limited("alice", pull), Pull, "a/xy", "", false},
		{limited("alice", pull), Pull, "a/x/y", "", false},
		{limited("alice", pull, push), Pull | Push, "a/x", "", true},
		{limited("alice", push), Overwrite, "a/y/z", "", true},
		{limited("alice", push), Delete, "a/y", "", false},
		{limited("alice", push), Push, "a", "", false},
		{limited("alice", authn.Limit{Type: "repository", Name: "b/**", Actions: []string{"*"}}), Pull, "b/x", "", false},
		{limited("root", pull), Push, "a/x", "", false},
		{limited("root", pull), Pull, "a/x", "", true},
		{limited("alice", authn.Limit{Type: "registry", Name: "a/x", Actions: []string{"*"}}), Pull, "a/x", "", false},
		{limited("alice", authn.Limit{Type: "repository", Name: "{user}", Actions: []string{"*"}}), Pull, "alice", "", false},
	})
	d := p.Decide(limited("alice", pull), &Query{Repository: "a/x", Action: Push})
	if !d.Limited() || d.Rule.Kind != RuleLimit {
		t.Errorf("not limited: %s", d.Reason())
	}
	if got := p.Allowed(limited("alice", pull), &Query{Repository: "a/x"}); got != Pull|List {
		t.Errorf("a token of a token would allow %s", got)
	}
}

func TestCatalog(t *testing.T) {
	cfg := Config{
		Admins:   []Admin{{Subjects: []string{"user:root"}}},
		Projects: []Project{{Patterns: []string{"a/**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"group:dev"}}, {Actions: []string{"push"}, Subjects: []string{"robot:ci"}}}}},
	}
	ask := func(p *Policy, who *authn.Principal) bool {
		return p.Decide(who, &Query{Type: "registry", Repository: "catalog", Action: List}).Allowed
	}
	admin := mustCompile(t, cfg)
	cfg.Catalog = "filtered"
	filtered := mustCompile(t, cfg)
	for _, x := range []struct {
		who             *authn.Principal
		admin, filtered bool
	}{
		{user("root"), true, true}, {user("a", "dev"), false, true}, {user("b"), false, false}, {robot("ci"), false, false}, {nil, false, false},
	} {
		if got := ask(admin, x.who); got != x.admin {
			t.Errorf("%s: %v, want %v", x.who, got, x.admin)
		}
		if got := ask(filtered, x.who); got != x.filtered {
			t.Errorf("filtered, %s: %v, want %v", x.who, got, x.filtered)
		}
	}
	if got := filtered.Allowed(user("a", "dev"), &Query{Type: "registry", Repository: "catalog"}); got != List {
		t.Errorf("token for the catalog: %s", got)
	}
	for _, q := range []Query{{Type: "registry", Repository: "other", Action: List}, {Type: "x", Repository: "a/b", Action: Pull}, {Repository: "a/b"}} {
		if admin.Decide(user("root"), &q).Allowed {
			t.Errorf("allowed: %+v", q)
		}
	}
	if !admin.Decide(user("a", "dev"), &Query{Type: "repository(plugin)", Repository: "a/b", Action: Pull}).Allowed {
		t.Error("class of a repository not understood")
	}
}

func TestShadow(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{
		Patterns: []string{"a/**"},
		Grants: []Grant{
			{Role: "guest", Subjects: []string{"authenticated"}},
			{Role: "developer", Subjects: []string{"group:dev"}, Shadow: true, Source: "Caddyfile:3"},
		},
		Denies: []Grant{{Actions: []string{"pull"}, Subjects: []string{"user:bob"}, Shadow: true, Source: "Caddyfile:4"}},
	}}})
	for _, x := range []struct {
		who     *authn.Principal
		action  Action
		allowed bool
		shadow  string
	}{
		{user("alice", "dev"), Push, false, "would allow: project a/** developer group:dev (Caddyfile:3)"},
		{user("alice", "dev"), Pull, true, ""},
		{user("bob"), Pull, true, "would deny: project a/** deny pull user:bob (Caddyfile:4)"},
		{user("bob"), Push, false, ""},
	} {
		d := p.Decide(x.who, &Query{Repository: "a/x", Action: x.action})
		if d.Allowed != x.allowed || d.ShadowReason() != x.shadow {
			t.Errorf("%s %s: %v %q, want %v %q", x.who, x.action, d.Allowed, d.ShadowReason(), x.allowed, x.shadow)
		}
	}
}

func TestReasons(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"team-a/**"}, Grants: []Grant{
		{Role: "developer", Subjects: []string{"group:team-a"}, Source: "Caddyfile:12"},
	}}}})
	for _, x := range []struct {
		who    *authn.Principal
		q      Query
		reason string
	}{
		{user("alice", "team-a"), Query{Repository: "team-a/app", Action: Push}, "project team-a/** developer group:team-a (Caddyfile:12)"},
		{user("alice", "team-a"), Query{Repository: "team-b/app", Action: Push, Tag: "v1"}, "nothing grants push on team-b/app:v1 to user:alice"},
		{user("alice", "team-a"), Query{Repository: "team-a/app", Action: Pull | Delete}, "nothing grants delete on team-a/app to user:alice"},
		{nil, Query{Repository: "team-a/app", Action: Pull}, "nothing grants pull on team-a/app to anonymous"},
	} {
		d := p.Decide(x.who, &x.q)
		if d.Reason() != x.reason {
			t.Errorf("%q, want %q", d.Reason(), x.reason)
		}
	}
}

func TestRelevant(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"a/{claims.ci.project}/**"}, Grants: []Grant{
		{Role: "guest", Subjects: []string{"group:dev", "role:r", "claim:realm.admin=true"}},
		{Role: "guest", Subjects: []string{"authenticated"}, Conditions: Conditions{When: `claims.ref == "main" && claims["env"] == "prod"`}},
	}}}})
	who := &authn.Principal{
		Kind: authn.KindUser, Name: "alice", Groups: []string{"dev", "other"}, Roles: []string{"x", "r"},
		Claims: map[string]any{
			"ci": map[string]any{"project": "p", "secret": "s"}, "realm": map[string]any{"admin": true, "rest": 1},
			"ref": "main", "env": "prod", "email": "a@example.com",
		},
	}
	got := p.Relevant(who)
	if len(got.Groups) != 1 || len(got.Roles) != 1 || len(got.Claims) != 4 || got.Name != "alice" {
		t.Errorf("relevant: %+v", got)
	}
	if _, ok := got.Claim("ci.secret"); ok {
		t.Error("a claim is kept that no rule looks at")
	}
	if _, ok := who.Claim("ci.secret"); !ok {
		t.Error("the original was changed")
	}
	every := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"{groups}/**"}, Grants: []Grant{
		{Role: "guest", Subjects: []string{"authenticated"}, Conditions: Conditions{When: `claims.exists(k, k == "x") || "r" in principal.roles`}},
	}}}}).Relevant(who)
	if len(every.Groups) != 2 || len(every.Roles) != 2 || len(every.Claims) != 5 {
		t.Errorf("relevant: %+v", every)
	}
	if p.Relevant(nil) != nil {
		t.Error("nobody became somebody")
	}
}

func TestAllowedLooksAhead(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{
		Patterns: []string{"a/**"},
		Grants: []Grant{
			{Actions: []string{"pull"}, Subjects: []string{"anyone"}},
			{Actions: []string{"push"}, Subjects: []string{"anyone"}, Conditions: Conditions{When: `request.tag.startsWith("dev-")`}},
			{Actions: []string{"delete"}, Subjects: []string{"anyone"}, Tags: []string{"dev-*"}},
			{Actions: []string{"list", "manage"}, Subjects: []string{"anyone"}, Conditions: Conditions{When: `request.action == "list"`}},
		},
		Denies: []Grant{{Actions: []string{"push"}, Subjects: []string{"anyone"}, Tags: []string{"v*"}}},
	}}})
	if got := p.Allowed(nil, &Query{Repository: "a/x", Time: time.Now()}); got != Pull|Push|Delete|List {
		t.Errorf("token allows %s", got)
	}
	check(t, p, []expect{
		{nil, Push, "a/x", "dev-1", false}, // moving it is not granted
		{nil, Push, "a/x", "v1", false},
		{nil, Delete, "a/x", "dev-1", true},
		{nil, Delete, "a/x", "v1", false},
	})
}

func TestNoAllocations(t *testing.T) {
	cfg := Config{Projects: projectsOf(100)}
	cfg.Projects = append(cfg.Projects, Project{Patterns: []string{"users/{user}/**", "g/x-*"}, Grants: []Grant{
		{Role: "developer", Subjects: []string{"authenticated"}, Conditions: Conditions{From: []string{"10.0.0.0/8"}, Between: "00:00-24:00"}},
	}, Immutable: []Immutable{{Tags: []string{"v*"}}}})
	p := mustCompile(t, cfg)
	who := user("alice", "team-5", "other")
	who.Limits = []authn.Limit{{Type: "repository", Name: "**", Actions: []string{"pull", "push"}}}
	remote := netip.MustParseAddr("::ffff:10.1.2.3")
	for _, repository := range []string{"team-5/app", "users/alice/app", "g/x-1"} {
		allocs := testing.AllocsPerRun(100, func() {
			q := Query{Repository: repository, Action: Push, Tag: "latest", Remote: remote}
			if d := p.Decide(who, &q); !d.Allowed {
				t.Fatal(d.Reason())
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", repository, allocs)
		}
	}
}
