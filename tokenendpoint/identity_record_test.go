package tokenendpoint

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestNobodyIsNotAskedFor: an anonymous caller has no identity token to keep,
// so the state is not asked for one.
func TestNobodyIsNotAskedFor(t *testing.T) {
	s, l := newLoginStage(t)
	s.get("service=reg.test&offline_token=true&scope=repository:pub/app:pull")
	if len(l.asked) != 0 {
		t.Errorf("asked for %+v", l.asked)
	}
}

// TestRecordOfALogin: a record names the identity token that was handed out at
// a login, with the request it came in; an exchange has none.
func TestRecordOfALogin(t *testing.T) {
	s, l := newLoginStage(t)
	s.RequestID = func(*http.Request) string { return "request-7" }
	s.Now = func() time.Time { s.clock.at = s.clock.at.Add(time.Second); return s.clock.at }
	token := refreshToken(s.get("service=reg.test&offline_token=true", basic("alice", "alice")))
	login := s.records[len(s.records)-1]
	if login.IdentityToken == "" || !strings.Contains(token, login.IdentityToken) || login.Duration <= 0 {
		t.Errorf("recorded %+v", login)
	}
	s.form(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {"reg.test"}, "access_type": {"offline"}})
	if rec := s.records[len(s.records)-1]; rec.Status != http.StatusOK || rec.IdentityToken != "" {
		t.Errorf("recorded %+v", rec)
	}
	for _, asked := range l.asked {
		if asked.RequestID != "request-7" {
			t.Errorf("asked with %+v", asked)
		}
	}
}

// TestServiceOfTheMethod: the service stands in the body of a POST and in the
// query of anything else, and in neither if it is too long to be read.
func TestServiceOfTheMethod(t *testing.T) {
	form := func() *strings.Reader { return strings.NewReader("service=b") }
	for name, test := range map[string]struct {
		request *http.Request
		want    string
	}{
		"GET with a body":      {httptest.NewRequest("GET", "/?service=a", form()), "a"},
		"POST without one":     {&http.Request{Method: "POST", URL: &url.URL{RawQuery: "service=a"}}, "a"},
		"POST that breaks off": {httptest.NewRequest("POST", "/", brokenBody{}), ""},
		"a long query":         {&http.Request{Method: "GET", URL: &url.URL{RawQuery: "service=a&x=" + strings.Repeat("a", maxForm)}}, ""},
	} {
		if got := ServiceOf(test.request); got != test.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
