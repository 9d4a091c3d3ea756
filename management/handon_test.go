package management

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// withRules is a stage with a policy of its own.
func withRules(t *testing.T, rules authz.Config, change ...func(*Options)) *stage {
	t.Helper()
	return newStage(t, append([]func(*Options){func(o *Options) {
		compiled, err := authz.Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		policy := compiled.With(o.State)
		o.Policy = func() *authz.Policy { return policy }
	}}, change...)...)
}

func wrongFields(wrong problems) string {
	var fields []string
	for _, p := range wrong {
		fields = append(fields, p.Field)
	}
	return strings.Join(fields, " ")
}

func repository(name string, actions ...string) authn.Limit {
	return authn.Limit{Type: "repository", Name: name, Actions: actions}
}

// TestRobotsGetNoMoreThanTheirMakerHas: neither permissions, nor a name that
// rules give more, nor a longer time than the maker is an administrator for.
func TestRobotsGetNoMoreThanTheirMakerHas(t *testing.T) {
	end := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC) // "until" takes in the day
	office := authz.Conditions{From: []string{"10.0.0.0/8"}, Until: "2030-01-01"}
	all := scopeSet{string(ScopeAll)}
	narrow := scopeSet{string(ScopeRobotsWrite)}
	root := &authn.Principal{Kind: authn.KindUser, Name: "root", Credential: "id_token"}
	lead := &authn.Principal{Kind: authn.KindUser, Name: "lead", Credential: "id_token"}
	temp := &authn.Principal{Kind: authn.KindUser, Name: "temp", Credential: "id_token"}
	moody := &authn.Principal{Kind: authn.KindUser, Name: "moody", Credential: "id_token"}
	both := &authn.Principal{Kind: authn.KindUser, Name: "both", Credential: "id_token"}
	s := withRules(t, authz.Config{
		Admins: []authz.Admin{
			{Subjects: []string{"user:root", "robot:chief"}},
			{Subjects: []string{"user:temp", "user:both"}, Conditions: office},
			{Subjects: []string{"user:moody"}, Conditions: authz.Conditions{When: `request.ip != ""`}},
		},
		Projects: []authz.Project{{Name: "team-a", Patterns: []string{"team-a/**"}, Grants: []authz.Grant{
			{Role: "project_admin", Subjects: []string{"user:lead", "user:both", "robot:team-a+boss"}}, {Role: "guest", Subjects: []string{"robot:team-a+reader"}},
		}}},
	}, func(o *Options) { o.Declared.Mentioned = []string{"robot:noted"} })
	from := []string{"10.0.0.0/8"}
	for name, test := range map[string]struct {
		who    *authn.Principal
		scopes scopeSet
		h      handed
		wrong  string
	}{
		"an administrator, anything":           {root, all, handed{robot: "x", permissions: []authn.Limit{repository("**", "*")}}, ""},
		"an administrator, a chief":            {root, all, handed{robot: "chief"}, ""},
		"a key of the API":                     {nil, all, handed{robot: "x", permissions: []authn.Limit{repository("**", "*")}}, ""},
		"a narrow key, managing":               {nil, narrow, handed{robot: "x", permissions: []authn.Limit{repository("a", "manage")}}, "permissions[0]"},
		"a narrow key, pulling":                {nil, narrow, handed{robot: "x", permissions: []authn.Limit{repository("a", "pull")}}, ""},
		"a narrow key, a chief":                {nil, narrow, handed{robot: "chief"}, "name"},
		"a narrow key, a boss":                 {nil, narrow, handed{robot: "team-a+boss"}, "name"},
		"a narrow key, a reader":               {nil, narrow, handed{robot: "team-a+reader"}, ""},
		"a narrow key, one that is noted":      {nil, narrow, handed{robot: "noted"}, "name"},
		"an administrator, one that is noted":  {root, all, handed{robot: "noted"}, ""},
		"narrowly, one that is noted":          {root, narrow, handed{robot: "noted"}, "name"},
		"a lead, of the project":               {lead, all, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-a/**", "push", "pull")}}, ""},
		"a lead, beyond it":                    {lead, all, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-a/x", "pull"), repository("team-b/**", "pull")}}, "permissions[1]"},
		"a lead, managing":                     {lead, all, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-a/**", "manage")}}, ""},
		"a lead, managing, narrowly":           {lead, narrow, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-a/**", "manage")}}, "permissions[0]"},
		"a lead, a chief":                      {lead, all, handed{robot: "chief"}, "name"},
		"a lead, a boss":                       {lead, all, handed{robot: "team-a+boss"}, ""},
		"a lead, a boss, narrowly":             {lead, narrow, handed{robot: "team-a+boss"}, "name"},
		"a lead, one that is noted":            {lead, all, handed{robot: "noted"}, "name"},
		"for a while, for longer":              {temp, all, handed{robot: "x", from: from}, "expires"},
		"for a while, from elsewhere":          {temp, all, handed{robot: "x", expires: end}, "from"},
		"for a while, within it":               {temp, all, handed{robot: "x", from: from, expires: end}, ""},
		"for a while, as an owner":             {temp, all, handed{robot: "x", owned: true}, ""},
		"as an expression says":                {moody, all, handed{robot: "x", from: from, expires: end}, "expires"},
		"for a while, what a lead may":         {both, all, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-a/**", "pull")}}, ""},
		"for a while, a boss":                  {both, all, handed{robot: "team-a+boss"}, ""},
		"for a while, what a lead may not":     {both, all, handed{robot: "team-a+x", permissions: []authn.Limit{repository("team-b/**", "pull")}}, "from"},
		"for a while, a chief":                 {both, all, handed{robot: "chief"}, "from"},
		"for a while, of no project":           {both, all, handed{robot: "x", permissions: []authn.Limit{repository("team-a/**", "pull")}}, "from"},
		"for a while, of a project not theirs": {both, all, handed{robot: "team-b+x"}, "from"},
		"no robot, beyond the scopes":          {lead, narrow, handed{scopes: []string{"robots:write", "keys:write"}}, "scopes[1]"},
		"no robot, permissions are not looked": {lead, all, handed{permissions: []authn.Limit{repository("team-b/**", "pull")}}, ""},
	} {
		who := &Caller{Principal: test.who, scopes: test.scopes, Remote: s.addr(t, "10.1.1.1")}
		var wrong problems
		s.manager.mayHandOn(who, test.h, &wrong)
		if got := wrongFields(wrong); got != test.wrong {
			t.Errorf("%s: %q, want %q: %v", name, got, test.wrong, wrong)
		}
	}
	for name, test := range map[string]struct {
		who           *Caller
		subject       string
		administrator bool
		until         time.Time
		wrong         string
	}{
		"for a while, somebody":              {&Caller{Principal: temp}, "user:x", false, time.Time{}, ""},
		"for a while, an administrator":      {&Caller{Principal: temp}, "user:x", true, time.Time{}, "f"},
		"for a while, themselves":            {&Caller{Principal: temp}, "user:temp", false, time.Time{}, "f"},
		"for a while, themselves, for it":    {&Caller{Principal: temp}, "user:temp", false, end, ""},
		"always, an administrator":           {&Caller{Principal: root}, "user:x", true, time.Time{}, ""},
		"a key that ends, an administrator":  {&Caller{actor: state.Actor{Kind: "api_key"}, expires: end}, "user:x", true, time.Time{}, "f"},
		"a key that ends, one for as long":   {&Caller{actor: state.Actor{Kind: "api_key"}, expires: end}, "user:x", true, end, ""},
		"a key that ends, somebody":          {&Caller{actor: state.Actor{Kind: "api_key"}, expires: end}, "user:x", false, time.Time{}, ""},
		"a key that lasts, an administrator": {&Caller{actor: state.Actor{Kind: "api_key"}}, "user:x", true, time.Time{}, ""},
	} {
		test.who.Remote = s.addr(t, "10.1.1.1")
		var wrong problems
		s.manager.mayAppoint(test.who, "f", test.subject, test.administrator, from, test.until, &wrong)
		if got := wrongFields(wrong); got != test.wrong {
			t.Errorf("%s: %q, want %q: %v", name, got, test.wrong, wrong)
		}
	}
}

func TestWhatIsMadeIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		inner, outer []string
		want         bool
	}{
		"everywhere":         {nil, nil, true},
		"somewhere":          {[]string{"10.0.0.0/8"}, nil, true},
		"everywhere, not":    {nil, []string{"10.0.0.0/8"}, false},
		"the same":           {[]string{"10.0.0.0/8"}, []string{"10.0.0.0/8"}, true},
		"a part":             {[]string{"10.1.0.0/16", "192.0.2.7"}, []string{"10.0.0.0/8", "192.0.2.0/24"}, true},
		"more":               {[]string{"10.0.0.0/7"}, []string{"10.0.0.0/8"}, false},
		"one of two":         {[]string{"10.1.0.0/16", "11.0.0.0/8"}, []string{"10.0.0.0/8"}, false},
		"what is none":       {[]string{"x"}, []string{"10.0.0.0/8"}, false},
		"within what is not": {[]string{"10.0.0.0/8"}, []string{"x"}, false},
	} {
		if sourcesWithin(test.inner, test.outer) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
	s := newStage(t)
	now := s.clock.now()
	for name, test := range map[string]struct {
		expires time.Time
		limit   time.Duration
		want    bool
	}{
		"never":                  {time.Time{}, 0, true},
		"never, where it must":   {time.Time{}, time.Hour, false},
		"soon":                   {now.Add(1), 0, true},
		"now":                    {now, 0, false},
		"at the latest":          {now.Add(time.Hour), time.Hour, true},
		"later":                  {now.Add(time.Hour + 1), time.Hour, false},
		"before it was asked at": {now.Add(-time.Hour), time.Hour, false},
	} {
		var wrong problems
		s.manager.checkLifetime(&wrong, "expires", test.expires, Duration(test.limit))
		if (len(wrong) == 0) != test.want {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	strict := newStage(t, func(o *Options) { o.Config.RequireFrom = true })
	for name, test := range map[string]struct {
		of   *stage
		from []string
		want string
	}{
		"anywhere": {s, nil, ""}, "anywhere, where it must not": {strict, nil, "from"}, "somewhere": {strict, []string{"10.0.0.0/8"}, ""}, "nowhere": {s, []string{"10.0.0.0/8", "x"}, "from[1]"},
	} {
		var wrong problems
		if test.of.manager.checkFrom(&wrong, "from", test.from); wrongFields(wrong) != test.want {
			t.Errorf("%s: %v", name, wrong)
		}
	}
}

func (s *stage) addr(t *testing.T, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
