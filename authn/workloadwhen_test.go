package authn

import (
	"errors"
	"strings"
	"testing"
)

// whenBranch is a language of conditions with the words "main" and "never".
func whenBranch(text string) (ClaimsCondition, error) {
	if text != "main" && text != "never" {
		return nil, errors.New("unknown word")
	}
	return branchIs(text), nil
}

type branchIs string

func (b branchIs) Holds(claims map[string]any) (bool, error) {
	ref, ok := claims["ref"].(string)
	if !ok {
		return false, errors.New("no ref")
	}
	return ref == "refs/heads/"+string(b), nil
}

// TestWorkloadWhen: a condition is enough of a condition, holds beside what is
// required, and does not hold when it cannot be evaluated.
func TestWorkloadWhen(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	mapping := WorkloadMapping{Name: "main", Audiences: []string{"registry.test"}, When: []string{"main"}}
	config := WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{mapping}}
	a, err := NewWorkload(config, nil, Options{Now: clock.now, When: whenBranch})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ref  any
		want string
	}{
		{"refs/heads/main", ""},
		{"refs/heads/other", "when `main` does not hold"},
		{7, "cannot be evaluated: no ref"},
	} {
		_, err := a.Authenticate(t.Context(), show(key.sign(nil, provider.jobClaims(clock.now(), object{"ref": test.ref}))))
		if (err == nil) != (test.want == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("ref %v: %v, want %q", test.ref, err, test.want)
		}
	}

	both := mapping
	both.When, both.Require = []string{"main", "never"}, []ClaimRequirement{{"sub", []string{"**"}}}
	b, err := NewWorkload(WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{both}}, nil, Options{Now: clock.now, When: whenBranch})
	if err != nil {
		t.Fatal(err)
	}
	works(t, b, key.sign(nil, provider.jobClaims(clock.now(), object{"ref": "refs/heads/main"})), ErrInvalid)
	if mapping.terms(provider.URL) == both.terms(provider.URL) {
		t.Error("tokens go on although the conditions have changed")
	}

	bad := mapping
	bad.When = []string{"sometimes"}
	for _, err := range []error{
		config.Validate(nil),
		WorkloadConfig{Issuer: provider.URL, Mappings: []WorkloadMapping{bad}}.Validate(whenBranch),
		WorkloadConfig{Issuer: "https://token.actions.githubusercontent.com", Mappings: []WorkloadMapping{mapping}}.Validate(whenBranch),
	} {
		if err == nil {
			t.Error("accepted")
		} else {
			t.Log(err)
		}
	}
}
