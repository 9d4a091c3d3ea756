package authn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWhatServicesLeaveOut is unread of people, and of nobody else.
func TestWhatServicesLeaveOut(t *testing.T) {
	e, err := NewExternal(ExternalConfig{URL: "https://who.example"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, maxExternalList+1)
	for i := range many {
		many[i] = fmt.Sprint("g", i)
	}
	ttl := func(n int) *int { return &n }
	for name, test := range map[string]struct {
		answer        externalAnswer
		groups, roles bool // unread
		wrong         bool
	}{
		"nothing":             {externalAnswer{Name: "a"}, true, true, false},
		"groups":              {externalAnswer{Name: "a", Groups: []string{}}, false, true, false},
		"roles":               {externalAnswer{Name: "a", Kind: KindUser, Roles: []string{"x"}}, true, false, false},
		"a robot":             {externalAnswer{Name: "a", Kind: KindRobot}, false, false, false},
		"a workload":          {externalAnswer{Name: "a", Kind: KindWorkload}, false, false, false},
		"a stranger":          {externalAnswer{Name: "a", Kind: "strange"}, false, false, true},
		"a long subject":      {externalAnswer{Name: "a", Subject: strings.Repeat("s", maxSubject+1)}, false, false, true},
		"the longest":         {externalAnswer{Name: "a", Subject: strings.Repeat("s", maxSubject)}, true, true, false},
		"a strange subject":   {externalAnswer{Name: "a", Subject: "a\nb"}, false, false, true},
		"most groups":         {externalAnswer{Name: "a", Groups: many[:maxExternalList]}, false, true, false},
		"more":                {externalAnswer{Name: "a", Groups: many}, false, true, true},
		"more roles":          {externalAnswer{Name: "a", Roles: many}, false, true, true},
		"the longest group":   {externalAnswer{Name: "a", Groups: []string{strings.Repeat("g", maxExternalText)}}, false, true, false},
		"a longer one":        {externalAnswer{Name: "a", Groups: []string{strings.Repeat("g", maxExternalText+1)}}, false, true, true},
		"a strange group":     {externalAnswer{Name: "a", Groups: []string{"a\nb"}}, false, true, true},
		"a role without name": {externalAnswer{Name: "a", Roles: []string{""}}, false, true, true},
		"not kept":            {externalAnswer{Name: "a", TTL: ttl(0)}, true, true, false},
		"kept for less":       {externalAnswer{Name: "a", TTL: ttl(-1)}, true, true, true},
	} {
		p, err := e.principal(&test.answer)
		if (err != nil) != test.wrong || err == nil && (p.GroupsUnread != test.groups || p.RolesUnread != test.roles) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestServicesAreDeclared(t *testing.T) {
	headers := func(n int) map[string]string {
		h := map[string]string{}
		for i := range n {
			h[fmt.Sprint("X-", i)] = "v"
		}
		return h
	}
	for name, test := range map[string]struct {
		change func(*ExternalConfig)
		want   bool
	}{
		"plain":               {func(*ExternalConfig) {}, true},
		"both kinds":          {func(c *ExternalConfig) { c.Credentials = []string{"password", "bearer"} }, true},
		"another kind":        {func(c *ExternalConfig) { c.Credentials = []string{"cookie"} }, false},
		"most headers":        {func(c *ExternalConfig) { c.Headers = headers(maxExternalHeaders) }, true},
		"more headers":        {func(c *ExternalConfig) { c.Headers = headers(maxExternalHeaders + 1) }, false},
		"an empty header":     {func(c *ExternalConfig) { c.Headers = map[string]string{"": "x"} }, false},
		"a header with space": {func(c *ExternalConfig) { c.Headers = map[string]string{"X Y": "x"} }, false},
		"an underscore":       {func(c *ExternalConfig) { c.Headers = map[string]string{"X_Y": "x"} }, false},
		"the host":            {func(c *ExternalConfig) { c.Headers = map[string]string{"host": "x"} }, false},
		"a strange value":     {func(c *ExternalConfig) { c.Headers = map[string]string{"X": "a\nb"} }, false},
		"the longest answer":  {func(c *ExternalConfig) { c.CacheTTL = Duration(maxExternalTTL) }, true},
		"a longer one":        {func(c *ExternalConfig) { c.CacheTTL = Duration(maxExternalTTL + 1) }, false},
		"a negative one":      {func(c *ExternalConfig) { c.NegativeTTL = -1 }, false},
		"a long refusal":      {func(c *ExternalConfig) { c.NegativeTTL = Duration(time.Minute + 1) }, false},
		"a long timeout":      {func(c *ExternalConfig) { c.Timeout = Duration(maxTimeout + 1) }, false},
		"most at once":        {func(c *ExternalConfig) { c.MaxConcurrent = maxExternalConcurrent }, true},
		"more at once":        {func(c *ExternalConfig) { c.MaxConcurrent = maxExternalConcurrent + 1 }, false},
		"fewer than none":     {func(c *ExternalConfig) { c.MaxConcurrent = -1 }, false},
		"in the clear":        {func(c *ExternalConfig) { c.URL = "http://who.example" }, false},
	} {
		c := ExternalConfig{URL: "https://who.example"}
		test.change(&c)
		if err := c.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServicesAreAskedAboutTheirKinds: with passwords switched off a token in
// the place of one still counts, and what was issued for passwords ends.
func TestServicesAreAskedAboutTheirKinds(t *testing.T) {
	s := newAskedService(t, says(200, `{"name":"a"}`))
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln"
	both, err := NewExternal(ExternalConfig{URL: s.URL, Credentials: []string{"password", "bearer"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	only, err := NewExternal(ExternalConfig{URL: s.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokens := both.BreakGlass()
	for name, test := range map[string]struct {
		of     Authenticator
		scheme Scheme
		secret string
		want   error
	}{
		"a password":                     {both, SchemeBasic, "hunter2", nil},
		"a token":                        {both, SchemeBearer, jwt, nil},
		"a token as a password":          {both, SchemeBasic, jwt, nil},
		"a token where passwords are":    {only, SchemeBearer, jwt, ErrNotMine},
		"a token as one, and only those": {only, SchemeBasic, jwt, ErrNotMine},
		"a password, switched off":       {tokens, SchemeBasic, "hunter2", ErrNotMine},
		"a token, as a password":         {tokens, SchemeBasic, jwt, nil},
		"a token, without passwords":     {tokens, SchemeBearer, "opaque", nil},
	} {
		before := s.questions.Load()
		_, err := test.of.Authenticate(t.Context(), &Credential{Scheme: test.scheme, Username: "alice", Secret: test.secret})
		if !errors.Is(err, test.want) || test.want != nil && s.questions.Load() != before {
			t.Errorf("%s: %v, %d questions", name, err, s.questions.Load()-before)
		}
	}
	if only.BreakGlass() != nil {
		t.Error("a service that knows passwords only is left")
	}
	for origin, want := range map[string][3]bool{CredentialExternalPassword: {true, true, false}, CredentialExternalToken: {true, false, true}, "": {true, true, false}} {
		p := &Principal{Kind: KindUser, Name: "a", Origin: origin}
		for i, r := range []Rechecker{both, only, tokens.(Rechecker)} {
			if err := r.Recheck(p, nil); (err == nil) != want[i] {
				t.Errorf("%q, %d: %v", origin, i, err)
			}
		}
	}
}
