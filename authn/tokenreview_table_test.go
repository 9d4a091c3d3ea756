package authn

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReviewedAccounts: what the API server says of a token makes a service
// account if it says all of it.
func TestReviewedAccounts(t *testing.T) {
	r := &TokenReview{config: TokenReviewConfig{Audiences: []string{"registry"}}}
	good := func() *tokenReviewStatus {
		s := &tokenReviewStatus{Authenticated: true, Audiences: []string{"other", "registry"}}
		s.User.Username, s.User.UID, s.User.Groups = "system:serviceaccount:ci:builder", "u", []string{"g"}
		return s
	}
	for name, test := range map[string]struct {
		change func(*tokenReviewStatus)
		iss    string
		want   bool
	}{
		"good":               {func(*tokenReviewStatus) {}, "x", true},
		"not authenticated":  {func(s *tokenReviewStatus) { s.Authenticated = false }, "x", false},
		"no audiences":       {func(s *tokenReviewStatus) { s.Audiences = nil }, "x", false},
		"another audience":   {func(s *tokenReviewStatus) { s.Audiences = []string{"other"} }, "x", false},
		"a person":           {func(s *tokenReviewStatus) { s.User.Username = "ci:builder" }, "x", false},
		"without a name":     {func(s *tokenReviewStatus) { s.User.Username = "system:serviceaccount:ci:" }, "x", false},
		"without namespace":  {func(s *tokenReviewStatus) { s.User.Username = "system:serviceaccount::builder" }, "x", false},
		"without either":     {func(s *tokenReviewStatus) { s.User.Username = "system:serviceaccount:ci" }, "x", false},
		"with more":          {func(s *tokenReviewStatus) { s.User.Username += ":x" }, "x", false},
		"with a slash":       {func(s *tokenReviewStatus) { s.User.Username += "/x" }, "x", false},
		"with a line break":  {func(s *tokenReviewStatus) { s.User.Username += "\nx" }, "x", false},
		"the longest issuer": {func(*tokenReviewStatus) {}, strings.Repeat("x", maxSubject), true},
		"a longer one":       {func(*tokenReviewStatus) {}, strings.Repeat("x", maxSubject+1), false},
	} {
		s := good()
		test.change(s)
		p, err := r.principal(s, map[string]any{"iss": test.iss, "jti": "j", "iat": 1000.0}, time.Unix(2000, 0))
		if (err == nil) != test.want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, p, err)
			continue
		}
		if err == nil && (p.Name != "ci/builder" || p.Kind != KindWorkload || p.Issued.Unix() != 1000 || p.GroupsUnread || p.Claims["pod"] != nil) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if _, err := r.principal(good(), map[string]any{"jti": strings.Repeat("j", maxSubject+1)}, time.Time{}); err == nil {
		t.Error("a longer id is taken")
	}
	pods := good()
	pods.User.Extra = map[string][]string{"authentication.kubernetes.io/pod-name": {"one", "two"}}
	pods.User.Groups = nil
	if p, err := r.principal(pods, map[string]any{}, time.Time{}); err != nil || p.Claims["pod"] != nil || !p.GroupsUnread {
		t.Errorf("%+v, %v", p, err)
	}
}
