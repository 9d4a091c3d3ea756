package authz

import (
	"net/netip"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestDenyRulesOfUnreadCredentials: each deny rule holds of whom it is about
// and of whom that is not known, and of nobody else.
func TestDenyRulesOfUnreadCredentials(t *testing.T) {
	deny := func(subjects ...string) Grant { return Grant{Actions: []string{"push"}, Subjects: subjects} }
	at := func(pattern string, g ...Grant) Project {
		return Project{Name: "d", Patterns: []string{pattern}, Denies: g}
	}
	person := func(change func(*authn.Principal)) *authn.Principal {
		p := user("alice", "dev")
		p.Claims = map[string]any{"dept": "blue", "list": []any{"x", "y"}}
		change(p)
		return p
	}
	read := person(func(*authn.Principal) {})
	noGroups := person(func(p *authn.Principal) { p.Groups, p.GroupsUnread = nil, true })
	noRoles := person(func(p *authn.Principal) { p.RolesUnread = true })
	nested := person(func(p *authn.Principal) { p.Claims["dept"] = []any{[]any{"blue"}} })
	object := person(func(p *authn.Principal) { p.Claims["dept"] = map[string]any{"a": "blue"} })
	bare := person(func(p *authn.Principal) { p.Claims = nil })
	office := Grant{Actions: []string{"push"}, Subjects: []string{"group:a"}, Conditions: Conditions{From: []string{"10.0.0.0/8"}}}
	onlyPull := Grant{Actions: []string{"pull"}, Subjects: []string{"group:a"}}
	for name, c := range map[string]struct {
		who    *authn.Principal
		rule   Project
		config func(*Config)
		denied bool
	}{
		"a group that is not theirs":                {read, at("a/**", deny("group:a")), nil, false},
		"groups that cannot be read":                {noGroups, at("a/**", deny("group:a")), nil, true},
		"of two rules the second":                   {noGroups, at("a/**", onlyPull, deny("group:b")), nil, true},
		"roles that cannot be read":                 {noRoles, at("a/**", deny("role:a")), nil, true},
		"roles that can":                            {read, at("a/**", deny("role:a")), nil, false},
		"roles, and groups cannot":                  {noGroups, at("a/**", deny("role:a")), nil, false},
		"groups, and roles cannot":                  {noRoles, at("a/**", deny("group:a")), nil, false},
		"roles that the token does not give":        {noRoles, at("a/**", deny("role:a")), func(c *Config) { c.RoleSources = []string{"application"} }, false},
		"a claim that is another":                   {read, at("a/**", deny("claim:dept=red", "claim:dept=green")), nil, false},
		"a claim, and groups cannot be read":        {noGroups, at("a/**", deny("claim:dept=red")), nil, false},
		"a claim that is missing":                   {bare, at("a/**", deny("claim:dept=red")), nil, true},
		"the second value of one that is missing":   {bare, at("a/**", onlyPull, deny("claim:dept=green")), nil, true},
		"one of two that is missing":                {read, at("a/**", deny("claim:dept=red", "claim:site=x")), nil, true},
		"a list in a list":                          {nested, at("a/**", deny("claim:dept=red")), nil, true},
		"an object":                                 {object, at("a/**", deny("claim:dept=red")), nil, true},
		"a list":                                    {read, at("a/**", deny("claim:list=z")), nil, false},
		"elsewhere":                                 {noGroups, at("b/**", deny("group:a")), nil, false},
		"a robot, which has no claims":              {robot("ci"), at("a/**", deny("claim:dept=red")), nil, false},
		"nobody":                                    {authn.Anonymous, at("a/**", deny("claim:dept=red", "group:a")), nil, false},
		"the places of groups":                      {noGroups, at("a/{groups}/**", deny("authenticated")), nil, true},
		"the places of groups, which are read":      {read, at("a/{groups}/**", deny("authenticated")), nil, false},
		"the places of groups elsewhere":            {noGroups, at("b/{groups}/**", deny("authenticated")), nil, false},
		"the places of groups, for a group":         {noGroups, at("a/{groups}/**", deny("group:a")), nil, true},
		"the places of groups, of somebody else":    {noGroups, at("a/{groups}/**", deny("user:bob")), nil, false},
		"the places of a claim":                     {bare, at("a/{claims.dept}/**", deny("authenticated")), nil, true},
		"the places of a claim that is read":        {read, at("a/{claims.dept}/**", deny("authenticated")), nil, false},
		"the places of a claim, and groups are not": {noGroups, at("a/{claims.dept}/**", deny("authenticated")), nil, false},
		"the places of users":                       {noGroups, at("a/{user}/**", deny("authenticated")), nil, false},
		"two places":                                {noGroups, at("a/{groups}/**", onlyPull, deny("authenticated")), nil, true},
		"under conditions that do not hold":         {noGroups, at("a/**", office), nil, false},
	} {
		cfg := Config{Projects: []Project{
			{Name: "all", Patterns: []string{"a/**"}, Grants: []Grant{{Actions: []string{"push", "pull"}, Subjects: []string{"anyone", "authenticated"}}}},
			c.rule,
		}}
		if c.config != nil {
			c.config(&cfg)
		}
		p, err := Compile(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d := p.Decide(c.who, &Query{Type: TypeRepository, Repository: "a/x/y", Action: Push, Absent: true, Remote: netip.MustParseAddr("192.0.2.1")})
		if d.Allowed == c.denied {
			t.Errorf("%s: allowed %v by %v", name, d.Allowed, d.Rule)
		}
		if got := p.Allowed(c.who, &Query{Type: TypeRepository, Repository: "a/x/y"}); c.config == nil && c.rule.Denies[0].From == nil && got.Has(Push) == c.denied {
			t.Errorf("%s: a token allows %q", name, got)
		}
	}
}

// TestTokensKnowTheDenyRules: those of people and jobs, by all groups and roles
// that deny rules name, in whichever order.
func TestTokensKnowTheDenyRules(t *testing.T) {
	kept := func(subjects ...string) string {
		return mustCompile(t, Config{Projects: []Project{{Name: "d", Patterns: []string{"a/**"}, Denies: []Grant{{Actions: []string{"push"}, Subjects: subjects}}}}}).kept
	}
	if kept("user:x", "claim:a=b") != "" || kept("group:a") == "" || kept("role:a") == "" {
		t.Error("what makes tokens say more")
	}
	if kept("group:a", "group:b") != kept("group:b", "group:a", "group:a") || kept("group:a") == kept("group:b") || kept("group:a") == kept("role:a") || kept("group:a") == kept("group:a", "role:a") {
		t.Error("the same rules are told apart, or others are not")
	}
	p := mustCompile(t, Config{Projects: []Project{{Name: "d", Patterns: []string{"a/**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"anyone", "authenticated"}}}, Denies: []Grant{{Actions: []string{"push"}, Subjects: []string{"group:a"}}}}}})
	for kind, stale := range map[authn.Kind]bool{authn.KindUser: true, authn.KindWorkload: true, authn.KindRobot: false, authn.KindAnonymous: false} {
		who := &authn.Principal{Kind: kind, Name: "x", Credential: authn.CredentialRegistryToken}
		if p.stale(who) != stale {
			t.Errorf("%s: %v", kind, !stale)
		}
		who.Credential = authn.CredentialPassword
		if p.stale(who) {
			t.Errorf("%s without a registry token", kind)
		}
	}
	if p.stale(nil) {
		t.Error("nobody")
	}
}
