package authz

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	p := mustCompile(t, Config{
		Admins: []Admin{{Subjects: []string{"group:platform"}, Source: "Caddyfile:2"}},
		Projects: []Project{{Patterns: []string{"a/**"}, Grants: []Grant{
			{Role: "guest", Subjects: []string{"authenticated"}, Source: "Caddyfile:4"},
			{Role: "developer", Subjects: []string{"group:dev"}, Source: "Caddyfile:5", Conditions: Conditions{
				From: []string{"10.0.0.0/8"}, Until: "2030-01-01", Between: "08:00-18:00 Mon-Fri", When: `claims.mfa == true`,
			}},
			{Role: "maintainer", Subjects: []string{"group:leads", "robot:ci"}, Source: "Caddyfile:6"},
			{Actions: []string{"push"}, Subjects: []string{"user:alice"}, Tags: []string{"dev-*"}, Source: "Caddyfile:7"},
		}, Immutable: []Immutable{{Tags: []string{"v*"}, Source: "Caddyfile:8"}}}},
	})
	alice := user("alice", "dev")
	x := p.Explain(alice, &Query{
		Repository: "a/x", Action: Push, Tag: "v1", Remote: netip.MustParseAddr("192.0.2.1"),
		Time: time.Date(2031, 1, 5, 20, 0, 0, 0, time.UTC),
	})
	var text []string
	for _, r := range x.Rules {
		text = append(text, r.Rule.String()+": "+r.Why)
	}
	all := strings.Join(append(text, x.Would...), "\n")
	for _, want := range []string{
		"192.0.2.1 is not in 10.0.0.0/8", "it ended 2030-01-02", "does not hold at 20:00 Sun", "cannot be evaluated: no such key: mfa",
		"is about the tags dev-*, not v1", "immutable v*: existing tags stay",
		"to be group:leads: project a/** maintainer group:leads robot:ci (Caddyfile:6)", "to be robot:ci", "to be group:platform: admin group:platform (Caddyfile:2)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("missing %q in:\n%s", want, all)
		}
	}
	if x.Allowed || x.Asked != "push on a/x:v1" || x.Principal != "user:alice" {
		t.Errorf("%+v", x)
	}
	if strings.Contains(all, "guest") {
		t.Errorf("a rule that is not about pushing:\n%s", all)
	}
	for _, q := range []Query{
		{Repository: "A", Action: Pull}, {Repository: "a/x", Action: Push, Tag: "v1"}, {Repository: "a/x", Action: Delete},
	} {
		if x := p.Explain(user("l", "leads"), &q); len(x.Would) != 1 {
			t.Errorf("%+v: %v", q, x.Would)
		}
	}
}

func TestWhoCan(t *testing.T) {
	p := mustCompile(t, Config{
		Admins: []Admin{{Subjects: []string{"group:platform"}}},
		Projects: []Project{
			{Patterns: []string{"team-a/**"}, Grants: []Grant{
				{Role: "guest", Subjects: []string{"anyone"}},
				{Role: "developer", Subjects: []string{"group:team-a", "robot:ci"}},
				{Role: "maintainer", Subjects: []string{"group:leads"}, Shadow: true},
			}, Denies: []Grant{{Actions: []string{"push"}, Subjects: []string{"user:mallory"}}}},
			{Patterns: []string{"{user}/**"}, Grants: []Grant{{Role: "developer", Subjects: []string{"authenticated"}}}},
		},
	})
	var got []string
	for _, h := range p.WhoCan(Push, "team-a/app") {
		s := h.Subject
		if h.Denied {
			s = "not " + s
		}
		if h.Conditional {
			s += "?"
		}
		got = append(got, s)
	}
	if want := "group:platform group:team-a robot:ci not user:mallory authenticated?"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if len(p.WhoCan(Push, "../x")) != 0 {
		t.Error("somebody may push to an invalid repository")
	}
}
