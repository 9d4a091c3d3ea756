package authz

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func onRepository(name string, actions ...string) authn.Limit {
	return authn.Limit{Type: TypeRepository, Name: name, Actions: actions}
}

func TestPatternsThatCannotBeCompared(t *testing.T) {
	for _, c := range []struct {
		one, other   string
		within, meet bool
	}{
		{"a/b", "a/**", true, true},
		{"a/**", "a/b", false, true},
		{"a/b", "b/**", false, false},
		{"A//", "**", false, true},
		{"a/b", "A//", false, true},
		{"A//", "b/**", false, true},
		{"{user}/b", "**", false, true},
		{"a/b", "{user}/**", false, true},
		{"a/b", "b/{user}", false, true},
		{"b/{user}", "a/b", false, true},
	} {
		if Within(c.one, c.other) != c.within || Meet(c.one, c.other) != c.meet {
			t.Errorf("%s and %s: within %v, meet %v", c.one, c.other, Within(c.one, c.other), Meet(c.one, c.other))
		}
	}
}

func TestBeyond(t *testing.T) {
	catalog := authn.Limit{Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}}
	limits := []authn.Limit{onRepository("a/**", "pull"), {Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}}, onRepository("home/{user}/**", "pull"), {Type: "plugin", Name: "p/**", Actions: []string{"pull"}}}
	for name, c := range map[string]struct {
		limits []authn.Limit
		l      authn.Limit
		within bool
	}{
		"within":             {limits, onRepository("a/b/**", "pull"), true},
		"another action":     {limits, onRepository("a/b", "push"), false},
		"another repository": {limits, onRepository("**", "pull"), false},
		"placeholders":       {limits, onRepository("a/{user}", "pull"), false},
		"an open limit":      {limits, onRepository("home/x/y", "pull"), false},
		"no pattern":         {limits, onRepository("A//", "pull"), false},
		"another type":       {limits, authn.Limit{Type: "plugin", Name: "a/b", Actions: []string{"pull"}}, false},
		"a limit of another": {limits, onRepository("p/x", "pull"), false},
		"the catalog":        {limits, catalog, true},
		"no catalog":         {limits[:1], catalog, false},
		"another catalog":    {limits, authn.Limit{Type: TypeRegistry, Name: "x", Actions: []string{"*"}}, false},
		"no limits":          {nil, catalog, false},
		"no limits at all":   {nil, onRepository("a", "pull"), false},
	} {
		if got := Beyond(c.limits, c.l); (got == 0) != c.within {
			t.Errorf("%s: beyond by %q", name, got)
		}
	}
}

// TestHoldingsAreBounded: by the limits of the credential, by deny rules that
// may be about its holder, and by what it was issued under.
func TestHoldingsAreBounded(t *testing.T) {
	p := mustCompile(t, Config{
		Admins: []Admin{{Subjects: []string{"user:root"}}},
		Projects: []Project{
			{Name: "a", Patterns: []string{"a/**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"authenticated"}}}, Denies: []Grant{{Actions: []string{"delete"}, Subjects: []string{"group:outside"}}}},
			{Name: "t", Patterns: []string{"t/**"}, Grants: []Grant{
				{Actions: []string{"pull", "push"}, Subjects: []string{"user:alice"}, Tags: []string{"dev-*"}},
				{Actions: []string{"pull", "list", "delete"}, Subjects: []string{"user:alice"}},
			}},
		},
	})
	ask := &Query{Time: time.Now(), Remote: netip.MustParseAddr("192.0.2.1")}
	limited := user("alice")
	limited.Limits = []authn.Limit{onRepository("a/b/**", "pull")}
	unread := user("alice")
	unread.GroupsUnread = true
	old, fresh, robots := user("alice"), user("alice"), robot("ci")
	oldAdmin := user("root")
	for _, x := range []*authn.Principal{old, fresh, robots, oldAdmin} {
		x.Credential = authn.CredentialRegistryToken
	}
	fresh.Kept = p.kept
	for name, c := range map[string]struct {
		who  *authn.Principal
		what authn.Limit
		want Action
	}{
		"its limits":                             {limited, onRepository("a/b/c", "pull"), 0},
		"beyond its limits":                      {limited, onRepository("a/**", "pull"), Pull | List},
		"another action than its limits":         {limited, onRepository("a/b/c", "delete"), Delete},
		"a group that is known":                  {user("alice", "x"), onRepository("a/**", "delete"), 0},
		"groups that are not":                    {unread, onRepository("a/**", "delete"), Delete},
		"of which only the denied is missing":    {unread, onRepository("a/**", "push"), 0},
		"a token from before the rule":           {old, onRepository("a/**", "pull"), Pull | List},
		"an administrator's from before":         {oldAdmin, onRepository("a/**", "pull"), Pull | List},
		"one that knows the rule":                {fresh, onRepository("a/**", "push"), 0},
		"a robot's, which has no groups":         {robots, onRepository("a/**", "push"), 0},
		"with tags":                              {user("alice"), onRepository("t/**", "push"), Push | Overwrite},
		"with tags, what they do not restrict":   {user("alice"), onRepository("t/x", "pull"), 0},
		"of two rules":                           {user("alice"), onRepository("t/x", "pull", "delete"), 0},
		"a registry's name that is not in use":   {user("root"), authn.Limit{Type: TypeRegistry, Name: "x", Actions: []string{"*"}}, TokenActions("*")},
		"an administrator's, without a request":  {user("root"), onRepository("**", "*"), 0},
		"what nobody has said, without a holder": {nil, onRepository("a/x", "pull"), Pull | List},
	} {
		if got := p.Missing(c.who, c.what, ask); got != c.want {
			t.Errorf("%s: missing %q, want %q", name, got, c.want)
		}
	}
	if !p.Holdings(user("root"), ask).Admin() || p.Holdings(user("alice"), ask).Admin() || p.PlainHoldings(user("root"), ask).Admin() {
		t.Error("who holds what an administrator does")
	}
}

// TestOwnPermissionsAreHeld, those of a stored robot, on all of a pattern only.
func TestOwnPermissionsAreHeld(t *testing.T) {
	own, err := NewPermissions("robot:ci", []authn.Limit{onRepository("a/**", "pull", "push"), onRepository("b/x", "pull"), {Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := mustCompile(t, Config{}).With(someFacts{permissions: map[string]*Permissions{"robot:ci": own}})
	for _, c := range []struct {
		who  *authn.Principal
		what authn.Limit
		held bool
	}{
		{robot("ci"), onRepository("a/x/**", "push"), true},
		{robot("ci"), onRepository("a/x", "delete"), false},
		{robot("ci"), onRepository("b/**", "pull"), false},
		{robot("ci"), onRepository("b/x", "pull"), true},
		{robot("ci"), onRepository("catalog", "pull"), false},
		{robot("other"), onRepository("a/x", "pull"), false},
		{authn.Anonymous, onRepository("a/x", "pull"), false},
	} {
		if got := p.Missing(c.who, c.what, &Query{}); (got == 0) != c.held {
			t.Errorf("%v: %v: missing %q", c.who, c.what, got)
		}
	}
}

// TestLackingIsCautious: what somebody else holds under circumstances counts
// as held by nobody but those whom the same rule is about in the same way.
func TestLackingIsCautious(t *testing.T) {
	pull := func(patterns string, subjects ...string) Project {
		return Project{Name: "b", Patterns: []string{patterns}, Grants: []Grant{{Role: "guest", Subjects: subjects}}}
	}
	deny := func(g Grant) []Grant {
		g.Actions = []string{"pull", "list"}
		return []Grant{g}
	}
	personal := Conditions{When: `principal.name == "r"`}
	for name, c := range map[string]struct {
		rules Config
		lacks bool
	}{
		"denied, and both are": {Config{Projects: []Project{pull("b/**", "robot:r", "user:lead")}, Denies: deny(Grant{Subjects: []string{"authenticated"}})}, false},
		"denied by who it is":  {Config{Projects: []Project{pull("b/**", "robot:r", "user:lead")}, Denies: deny(Grant{Subjects: []string{"robot:r", "user:lead"}, Conditions: Conditions{When: `principal.name != "r"`}})}, true},
		"denied in its own place": {Config{
			Projects: []Project{pull("b/**", "robot:r", "user:lead"), {Name: "d", Patterns: []string{"b/{user}/**"}, Denies: []Grant{{Actions: []string{"pull"}, Subjects: []string{"authenticated"}}}}},
		}, true},
		"denied on a part of it": {Config{
			Projects: []Project{pull("b/**", "robot:r"), {Name: "d", Patterns: []string{"b/x/**"}, Denies: []Grant{{Actions: []string{"pull", "list"}, Subjects: []string{"robot:r"}}}}},
		}, true},
		"denied on more than it": {Config{
			Projects: []Project{pull("b/x/**", "robot:r"), {Name: "d", Patterns: []string{"b/**"}, Denies: []Grant{{Actions: []string{"pull", "list"}, Subjects: []string{"robot:r"}}}}},
		}, false},
		"denied for some tags": {Config{
			Projects: []Project{{Name: "b", Patterns: []string{"b/**"}, Grants: []Grant{{Actions: []string{"push", "overwrite"}, Subjects: []string{"robot:r"}}}}},
			Denies:   []Grant{{Actions: []string{"push", "overwrite"}, Subjects: []string{"robot:r"}, Tags: []string{"v*"}}},
		}, true},
		"who holds it as somebody else": {Config{Projects: []Project{{Name: "b", Patterns: []string{"b/**"}, Grants: []Grant{{
			Role: "guest", Subjects: []string{"robot:r", "user:lead"}, Conditions: personal,
		}}}}}, true},
	} {
		p := mustCompile(t, c.rules)
		got := p.Holdings(user("lead"), &Query{Time: time.Now()}).Lacking(robot("r"))
		if len(got) > 0 != c.lacks {
			t.Errorf("%s: lacks %v", name, got)
		}
	}

	// The same rule, for each in their own place.
	homes := mustCompile(t, Config{Projects: []Project{{Name: "b", Patterns: []string{"{user}/**"}, Grants: []Grant{{
		Role: "guest", Subjects: []string{"authenticated"}, Conditions: Conditions{From: []string{"10.0.0.0/8"}},
	}}}}})
	if h := homes.Holdings(user("lead"), &Query{}); len(h.Lacking(user("bob"))) == 0 || len(h.Lacking(user("lead"))) > 0 {
		t.Error("somebody else's own place")
	}
	// An administrator whose token is limited makes no administrator.
	p := mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"robot:r", "user:lead"}}}})
	lead := user("lead")
	lead.Limits = []authn.Limit{onRepository("a/**", "*")}
	if len(p.Holdings(lead, &Query{}).Lacking(robot("r"))) == 0 || len(p.PlainHoldings(user("lead"), &Query{}).Lacking(robot("r"))) == 0 {
		t.Error("limited, or not as an administrator")
	}
	// Who may do everything by a rule is none either.
	p = mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"robot:r"}}}, Projects: []Project{{Name: "all", Patterns: []string{"**"}, Grants: []Grant{{Role: "project_admin", Subjects: []string{"user:lead"}}}}}})
	if len(p.Holdings(user("lead"), &Query{}).Lacking(robot("r"))) == 0 {
		t.Error("who may do everything makes an administrator")
	}
	if got := p.Gains(robot("r")); len(got) != 1 || got[0].Pattern != "**" || got[0].Actions != AllActions {
		t.Errorf("gains %v", got)
	}
}

func TestAdminTerms(t *testing.T) {
	p := mustCompile(t, Config{Admins: []Admin{
		{Subjects: []string{"user:root"}},
		{Subjects: []string{"user:office", "user:root"}, Conditions: Conditions{From: []string{"10.0.0.0/8"}, Until: "2030-01-01"}},
		{Subjects: []string{"user:day"}, Conditions: Conditions{Between: "08:00-18:00"}},
		{Subjects: []string{"user:some"}, Conditions: Conditions{When: `request.ip != ""`}},
	}})
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.Local)
	at := func(ip string) *Query { return &Query{Time: noon, Remote: netip.MustParseAddr(ip)} }
	if got := p.AdminTerms(user("root"), at("192.0.2.1")); len(got) != 1 || got[0].From != nil || !got[0].Until.IsZero() || got[0].Changing {
		t.Errorf("root: %+v", got)
	}
	got := p.AdminTerms(user("office"), at("10.1.1.1"))
	if len(got) != 1 || !slices.Equal(got[0].From, []string{"10.0.0.0/8"}) || got[0].Until.IsZero() || got[0].Changing {
		t.Errorf("office: %+v", got)
	}
	if got := p.AdminTerms(user("office"), at("192.0.2.1")); got != nil {
		t.Errorf("from elsewhere: %+v", got)
	}
	if got := p.AdminTerms(user("day"), at("192.0.2.1")); len(got) != 1 || !got[0].Changing {
		t.Errorf("by hours: %+v", got)
	}
	if got := p.AdminTerms(user("nobody"), at("10.1.1.1")); got != nil {
		t.Errorf("nobody: %+v", got)
	}
}

func TestAbout(t *testing.T) {
	alice := user("alice", "dev")
	alice.Roles = []string{"lead"}
	for subject, want := range map[string]bool{"user:alice": true, "user:bob": false, "group:dev": true, "group:ops": false, "role:lead": true, "role:x": false, "authenticated": true, "anyone": true, "robot:alice": false, "no:kind": false, "": false} {
		if About(subject, alice) != want {
			t.Errorf("%s: %v", subject, !want)
		}
	}
}
