package authz

import (
	"strings"
	"testing"
)

func TestClaimsCondition(t *testing.T) {
	claims := map[string]any{
		"ref": "refs/tags/v1", "run": float64(7), "protected": "true",
		"kubernetes.io": map[string]any{"namespace": "build"}, "groups": []any{"a", "b"},
		"many": make([]any, 100_000),
	}
	for _, test := range []struct {
		text    string
		holds   bool
		failure string
	}{
		{`claims.ref.startsWith("refs/tags/")`, true, ""},
		{`claims.ref == "refs/heads/main"`, false, ""},
		{`claims.run > 5 && claims["kubernetes.io"].namespace == "build"`, true, ""},
		{`"b" in claims.groups && !("c" in claims.groups)`, true, ""},
		{`has(claims.environment) && claims.environment == "prod"`, false, ""},
		{`claims.environment == "prod"`, false, "no such key"},
		{`claims.ref`, false, "want true or false"},
		{`claims.many.all(x, claims.many.all(y, y == x))`, false, "cost limit"},
	} {
		c, err := CompileClaims(test.text)
		if err != nil {
			t.Fatal(test.text, err)
		}
		holds, err := c.Holds(claims)
		if holds != test.holds || (err == nil) != (test.failure == "") || err != nil && !strings.Contains(err.Error(), test.failure) {
			t.Errorf("%s: %t, %v", test.text, holds, err)
		}
	}
	for text, want := range map[string]string{
		`claims.ref ==`:                 "column",
		`request.ip == "10.0.0.1"`:      "only claims are known here",
		`1 + 1`:                         "want true or false",
		strings.Repeat("true && ", 900): "",
	} {
		if _, err := CompileClaims(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}
