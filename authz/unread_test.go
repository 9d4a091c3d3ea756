package authz

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestDenyHoldsForWhatACredentialDoesNotSay: whoever chooses what a credential
// says cannot switch a deny rule off by leaving something out.
func TestDenyHoldsForWhatACredentialDoesNotSay(t *testing.T) {
	policy := func(subject string, conditions Conditions, patterns ...string) *Policy {
		if patterns == nil {
			patterns = []string{"**"}
		}
		return mustCompile(t, Config{Projects: []Project{{
			Name: "all", Patterns: []string{"**"}, Grants: []Grant{{Actions: []string{"pull", "push"}, Subjects: []string{"authenticated"}}},
		}, {
			Name: "some", Patterns: patterns,
			Denies: []Grant{{Actions: []string{"push"}, Subjects: []string{subject}, Conditions: conditions, Source: "Caddyfile:7"}},
		}}})
	}
	alice := func(change func(*authn.Principal)) *authn.Principal {
		p := &authn.Principal{Kind: authn.KindUser, Name: "alice", Claims: map[string]any{}}
		change(p)
		return p
	}
	groupless := func(p *authn.Principal) { p.GroupsUnread = true }
	said := func(v any) func(*authn.Principal) {
		return func(p *authn.Principal) { p.Claims["staff"] = v }
	}
	for name, x := range map[string]struct {
		policy *Policy
		who    *authn.Principal
		pushes bool
	}{
		"no groups claim":               {policy("group:interns", Conditions{}), alice(groupless), false},
		"in no group":                   {policy("group:interns", Conditions{}), alice(func(*authn.Principal) {}), true},
		"in another group, not all":     {policy("group:interns", Conditions{}), alice(func(p *authn.Principal) { p.Groups, p.GroupsUnread = []string{"dev"}, true }), false},
		"no roles claim":                {policy("role:intern", Conditions{}), alice(func(p *authn.Principal) { p.RolesUnread = true }), false},
		"another rule's groups":         {policy("user:bob", Conditions{}), alice(groupless), true},
		"claim missing":                 {policy("claim:staff=no", Conditions{}), alice(func(*authn.Principal) {}), false},
		"claim is null":                 {policy("claim:staff=no", Conditions{}), alice(said(nil)), false},
		"claim is an object":            {policy("claim:staff=no", Conditions{}), alice(said(map[string]any{"a": "b"})), false},
		"claim is a mixed list":         {policy("claim:staff=no", Conditions{}), alice(said([]any{"yes", map[string]any{}})), false},
		"claim has another value":       {policy("claim:staff=no", Conditions{}), alice(said("yes")), true},
		"claim is another list":         {policy("claim:staff=no", Conditions{}), alice(said([]any{"yes", 7.0})), true},
		"robot with a secret":           {policy("claim:staff=no", Conditions{}), &authn.Principal{Kind: authn.KindRobot, Name: "ci"}, true},
		"job that acts as a robot":      {policy("claim:staff=no", Conditions{}), &authn.Principal{Kind: authn.KindRobot, Name: "ci", Claims: map[string]any{}}, false},
		"user without any token":        {policy("claim:staff=no", Conditions{}), &authn.Principal{Kind: authn.KindUser, Name: "alice"}, false},
		"groups in an expression":       {policy("anyone", Conditions{When: `"interns" in principal.groups`}), alice(groupless), false},
		"read groups in an expression":  {policy("anyone", Conditions{When: `"interns" in principal.groups`}), alice(func(*authn.Principal) {}), true},
		"groups in the pattern":         {policy("anyone", Conditions{}, "{groups}/**"), alice(groupless), false},
		"read groups in the pattern":    {policy("anyone", Conditions{}, "{groups}/**"), alice(func(*authn.Principal) {}), true},
		"a claim in the pattern":        {policy("anyone", Conditions{}, "{claims.staff}/**"), alice(func(*authn.Principal) {}), false},
		"another claim in the pattern":  {policy("anyone", Conditions{}, "{claims.staff}/**"), alice(said("b")), true},
		"the pattern of another's rule": {policy("user:bob", Conditions{}, "{groups}/**"), alice(groupless), true},
		"condition does not hold":       {policy("group:interns", Conditions{Until: "2020-01-01"}), alice(groupless), true},
	} {
		d := x.policy.Decide(x.who, &Query{Repository: "a/b", Action: Push})
		if d.Allowed != x.pushes {
			t.Errorf("%s: push %v: %s", name, d.Allowed, d.Reason())
		}
		if got := x.policy.Allowed(x.who, &Query{Repository: "a/b"}).Has(Push); got != x.pushes {
			t.Errorf("%s: token for push: %v", name, got)
		}
		s := x.policy.Resolve(x.who)
		if again := x.policy.DecideFor(s, &Query{Repository: "a/b", Action: Push}); again.Allowed != d.Allowed {
			t.Errorf("%s: decided otherwise for a resolved subject", name)
		}
		if got := x.policy.Missing(x.who, authn.Limit{Type: "repository", Name: "a/**", Actions: []string{"push"}}, &Query{}) == 0; got && !x.pushes {
			t.Errorf("%s: what is denied may be handed on", name)
		}
		if !x.policy.Decide(x.who, &Query{Repository: "a/b", Action: Pull}).Allowed {
			t.Errorf("%s: pull is denied too", name)
		}
	}
}

func TestReasonSaysThatTheCredentialIsSilent(t *testing.T) {
	p := mustCompile(t, Config{
		AuthenticatedRead: []Read{{Patterns: []string{"**"}}},
		Denies:            []Grant{{Actions: []string{"pull"}, Subjects: []string{"group:interns"}, Source: "Caddyfile:7"}},
	})
	who := &authn.Principal{Kind: authn.KindUser, Name: "alice", GroupsUnread: true}
	q := &Query{Repository: "a/b", Action: Pull}
	d := p.Decide(who, q)
	if reason := d.Reason(); !strings.Contains(reason, "Caddyfile:7") || !strings.Contains(reason, "does not say") {
		t.Error(reason)
	}
	if x := p.Explain(who, q); len(x.Rules) != 2 || x.Rules[0].Rule.Kind != RuleDeny || !x.Rules[0].Applies {
		t.Errorf("%+v", x.Rules)
	}
	who.GroupsUnread, who.Groups = false, []string{"interns"}
	if d = p.Decide(who, q); strings.Contains(d.Reason(), "does not say") {
		t.Error("says so of a member of the group:", d.Reason())
	}
}
