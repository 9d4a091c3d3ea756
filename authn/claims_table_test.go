package authn

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestTimesInTokens(t *testing.T) {
	for v, want := range map[any]bool{0.0: true, -1.0: false, 253402300799.0: true, 253402300800.0: false, math.Inf(1): false, math.Inf(-1): false, "1": false, nil: false, 1.5: true} {
		at, err := numericDate(map[string]any{"exp": v}, "exp")
		if (err == nil) != want || v == 1.5 && at.UnixNano() != 1.5e9 {
			t.Errorf("%v: %s, %v", v, at, err)
		}
	}
	if _, err := numericDate(map[string]any{"exp": math.NaN()}, "exp"); err == nil {
		t.Error("not a number is a time")
	}
	if _, err := numericDate(map[string]any{}, "exp"); err == nil {
		t.Error("what is missing is a time")
	}
	now := time.Unix(10_000, 0)
	at := func(exp, iat, nbf float64) map[string]any {
		claims := map[string]any{"exp": exp, "iat": iat}
		if nbf != 0 {
			claims["nbf"] = nbf
		}
		return claims
	}
	rules := claimRules{maxAge: 100 * time.Second, skew: 10 * time.Second}
	for name, test := range map[string]struct {
		claims map[string]any
		want   error
	}{
		"good":                 {at(10_100, 10_000, 0), nil},
		"just issued":          {at(10_100, 10_010, 0), nil},
		"issued in the future": {at(10_100, 10_011, 0), ErrInvalid},
		"just expired":         {at(9_991, 9_950, 0), nil},
		"expired":              {at(9_990, 9_950, 0), ErrExpired},
		"just young enough":    {at(10_100, 9_890, 0), nil},
		"too old":              {at(10_100, 9_889, 0), ErrExpired},
		"just valid":           {at(10_100, 10_000, 10_010), nil},
		"not valid yet":        {at(10_100, 10_000, 10_011), ErrInvalid},
		"from no time":         {map[string]any{"exp": 10_100.0, "iat": 10_000.0, "nbf": "x"}, ErrInvalid},
		"no exp":               {map[string]any{"iat": 10_000.0}, ErrInvalid},
		"no iat":               {map[string]any{"exp": 10_100.0}, ErrInvalid},
	} {
		if _, err := rules.checkTimes(test.claims, now); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for name, test := range map[string]struct {
		rules claimRules
		iat   any
		want  int64
	}{
		"its end":            {claimRules{skew: 10 * time.Second}, 10_000.0, 10_510},
		"its age":            {rules, 10_000.0, 10_110},
		"its end before it":  {claimRules{maxAge: time.Hour, skew: 10 * time.Second}, 10_000.0, 10_510},
		"its end, of no age": {rules, nil, 10_510},
	} {
		if got := test.rules.until(&Principal{Expires: time.Unix(10_500, 0)}, map[string]any{"iat": test.iat}); got.Unix() != test.want {
			t.Errorf("%s: %d, want %d", name, got.Unix(), test.want)
		}
	}
}

func TestNamesInTokens(t *testing.T) {
	email := claimRules{username: "email", prefix: "x-"}
	for name, test := range map[string]struct {
		verified any
		want     bool
	}{"verified": {true, true}, "as a text": {"true", true}, "not": {false, false}, "not, as a text": {"false", false}, "null": {nil, false}, "a number": {1.0, false}} {
		got, err := email.name(map[string]any{"email": "a@example.com", "email_verified": test.verified})
		if (err == nil) != test.want || err == nil && got != "x-a@example.com" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := email.name(map[string]any{"email": "a@example.com"}); err != nil {
		t.Error(err) // the provider does not say
	}
	for _, v := range []any{"", nil, 7.0, "a\nb"} {
		if got, err := email.name(map[string]any{"email": v}); err == nil {
			t.Errorf("%v: %s", v, got)
		}
	}
	if len(newClaimRules(OIDCConfig{}).audiences) != 0 {
		t.Error("without a client id the empty one is an audience")
	}
	for name, want := range map[string]bool{strings.Repeat("g", maxUsername): true, strings.Repeat("g", maxUsername+1): false, "": false, "a\nb": false} {
		if isName(name) != want {
			t.Errorf("%q is a name: %v", name, !want)
		}
	}
	for _, test := range []struct {
		claim any
		names int
		form  string
	}{
		{"[\"a\"]", 0, formJSON},
		{" {\"a\":1}", 0, formJSON},
		{"a\nb", 0, formMixed},
		{" ", 0, formEmpty},
		{"a,b", 1, formText},
		{"cn=a,ou=b", 1, ""},
		{"a", 1, ""},
		{[]any{"a", 7.0}, 1, formMixed},
		{[]any{"a", ""}, 1, formMixed},
		{[]any{"[a]", "b"}, 1, formJSON},
		{[]any{"{a}", "b"}, 1, formJSON},
		{[]any{"a,b"}, 1, formText},
		{[]any{"a,b", "c"}, 2, ""},
		{[]any{}, 0, ""},
		{map[string]any{"a": map[string]any{}, "b": map[string]any{}}, 2, ""},
		{map[string]any{"a": "x"}, 0, formObject},
		{map[string]any{"": map[string]any{}}, 0, formObject},
		{map[string]any{}, 0, formObject},
		{7.0, 0, formOther},
		{nil, 0, formEmpty},
	} {
		if names, form := readNames(test.claim, true); len(names) != test.names || form != test.form {
			t.Errorf("%v: %q, %q", test.claim, names, form)
		}
	}
}

// TestClaimsThatAreKeptElsewhere are not taken for empty.
func TestClaimsThatAreKeptElsewhere(t *testing.T) {
	for name, test := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"there":             {map[string]any{"groups": []any{"a"}}, false},
		"names":             {map[string]any{claimNamesKey: map[string]any{"groups": "src1"}}, true},
		"of another":        {map[string]any{claimNamesKey: map[string]any{"roles": "src1"}}, false},
		"names as a text":   {map[string]any{claimNamesKey: `{"groups":"src1"}`}, true},
		"of another text":   {map[string]any{claimNamesKey: `{"roles":"src1"}`}, false},
		"names as anything": {map[string]any{claimNamesKey: 7.0}, true},
		"hasgroups":         {map[string]any{"hasgroups": true}, true},
		"as a text":         {map[string]any{"hasgroups": "true"}, true},
		"as a number":       {map[string]any{"hasgroups": 1.0}, true},
		"not":               {map[string]any{"hasgroups": false}, false},
		"groups:src1":       {map[string]any{"groups:src1": "x"}, true},
		"a source's name":   {map[string]any{"groups": "src1", claimSourceKey: map[string]any{"src1": map[string]any{}}}, true},
		"another's name":    {map[string]any{"groups": "src2", claimSourceKey: map[string]any{"src1": map[string]any{}}}, false},
		"no name":           {map[string]any{"groups": "", claimSourceKey: map[string]any{"": map[string]any{}}}, false},
	} {
		if got := keptElsewhere(test.claims, "groups"); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
