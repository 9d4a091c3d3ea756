package management

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// TestStoredKeysAreGoodFromTheirNetworks and from no others, whatever else is
// right about them.
func TestStoredKeysAreGoodFromTheirNetworks(t *testing.T) {
	s := newStage(t)
	key := s.call(adminKey, "POST", "/keys", `{"name":"k","scopes":["*"],"from":["192.0.2.0/24"]}`).want(201).text("secret")
	s.call(key, "GET", "/robots", nil).want(200)
	s.remote = "198.51.100.7:1234"
	s.call(key, "GET", "/robots", nil).want(401)
	s.call(adminKey, "GET", "/robots", nil).want(200)
}

// TestWhatLastsBoundsWhatItMakes: a token, a key or a robot hands on its end
// and its networks; people and jobs have none.
func TestWhatLastsBoundsWhatItMakes(t *testing.T) {
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	token := &Caller{Principal: &authn.Principal{Kind: authn.KindUser, Credential: state.CredentialToken}}
	robot := &Caller{Principal: &authn.Principal{Kind: authn.KindRobot, Credential: "robot_secret"}}
	person := &Caller{Principal: &authn.Principal{Kind: authn.KindUser, Credential: "id_token"}}
	key := &Caller{actor: state.Actor{Kind: "api_key"}}
	bootstrap := &Caller{actor: state.Actor{Kind: "bootstrap"}}
	for name, c := range map[string]struct {
		who     *Caller
		bounded bool
	}{"token": {token, true}, "robot": {robot, true}, "person": {person, false}, "key": {key, true}, "bootstrap": {bootstrap, false}} {
		c.who.expires, c.who.from = end, []string{"10.0.0.0/8"}
		for _, made := range []struct {
			from    []string
			expires time.Time
			fields  string
		}{
			{[]string{"10.1.0.0/16"}, end, ""},
			{[]string{"10.1.0.0/16"}, end.Add(-time.Second), ""},
			{[]string{"10.1.0.0/16"}, end.Add(time.Second), "expires"},
			{[]string{"10.1.0.0/16"}, time.Time{}, "expires"},
			{nil, end, "from"},
			{[]string{"192.0.2.0/24"}, time.Time{}, "expires from"},
		} {
			var wrong problems
			withinCredential(c.who, made.from, made.expires, &wrong)
			var fields []string
			for _, p := range wrong {
				fields = append(fields, p.Field)
			}
			want := made.fields
			if !c.bounded {
				want = ""
			}
			if got := strings.Join(fields, " "); got != want {
				t.Errorf("%s makes %v: %q, want %q", name, made, got, want)
			}
		}
		c.who.expires, c.who.from = time.Time{}, nil
		var wrong problems
		if withinCredential(c.who, nil, time.Time{}, &wrong); len(wrong) > 0 {
			t.Errorf("%s without bounds: %v", name, wrong)
		}
	}
}

// TestLimitedTokensMakeLimitedTokens.
func TestLimitedTokensMakeLimitedTokens(t *testing.T) {
	limit := func(name string, actions ...string) authn.Limit {
		return authn.Limit{Type: "repository", Name: name, Actions: actions}
	}
	limited := &Caller{Principal: &authn.Principal{Limits: []authn.Limit{limit("a/**", "pull")}}}
	for name, c := range map[string]struct {
		who   *Caller
		made  []authn.Limit
		wrong int
	}{
		"within":             {limited, []authn.Limit{limit("a/b", "pull")}, 0},
		"none":               {limited, nil, 1},
		"no permissions":     {limited, []authn.Limit{}, 0},
		"another action":     {limited, []authn.Limit{limit("a/b", "pull"), limit("a/b", "push")}, 1},
		"another repository": {limited, []authn.Limit{limit("b", "pull")}, 1},
		"not limited itself": {&Caller{Principal: &authn.Principal{}}, nil, 0},
	} {
		var wrong problems
		if withinLimits(c.who, c.made, &wrong); len(wrong) != c.wrong {
			t.Errorf("%s: %v", name, wrong)
		}
	}
}

// TestFormsCannotCallTheAPI: no form can send its media type, and no page of
// another site the header that proves it.
func TestFormsCannotCallTheAPI(t *testing.T) {
	for _, c := range []struct {
		method, media, body string
		good                bool
	}{
		{"GET", "", "", true},
		{"HEAD", "text/plain", "", true},
		{"DELETE", "", "", true},
		{"DELETE", "text/plain", "", false},
		{"DELETE", "", "{}", false},
		{"DELETE", "application/json", "{}", true},
		{"POST", "", "", false},
		{"POST", "application/json", "", true},
		{"POST", "application/json; charset=utf-8", "{}", true},
		{"PATCH", "application/merge-patch+json", "{}", true},
		{"PUT", "text/plain", "{}", false},
		{"POST", "application/x-www-form-urlencoded", "{}", false},
		{"POST", "application/json; x", "{}", false},
		{"POST", "application/jsonx", "{}", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
		if c.media != "" {
			r.Header.Set("Content-Type", c.media)
		}
		if err := checkMedia(r); (err == nil) != c.good {
			t.Errorf("%s, %q, %q: %v", c.method, c.media, c.body, err)
		}
	}
	for _, c := range []struct {
		method, name, value     string
		proven, byBrowserItself bool
	}{
		{"GET", "X-Nothing", "x", true, false},
		{"POST", "X-Nothing", "x", false, false},
		{"DELETE", "X-Csrf-Protection", "1", true, false},
		{"POST", "Origin", "https://r.example", true, true},
		{"POST", "Sec-Fetch-Site", "same-origin", true, true},
		{"GET", "Sec-Fetch-Site", "same-origin", true, true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/", nil)
		r.Header.Set(c.name, c.value)
		if err := proven(r); (err == nil) != c.proven {
			t.Errorf("%s with %s: %v", c.method, c.name, err)
		}
		if sentByBrowser(r) != c.byBrowserItself {
			t.Errorf("%s with %s: sent by the browser itself: %v", c.method, c.name, !c.byBrowserItself)
		}
		r.Header.Set("Authorization", "Basic YTpi")
		if sentByBrowser(r) != c.byBrowserItself {
			t.Errorf("%s with %s and a password", c.method, c.name)
		}
		if r.Header = (http.Header{"Authorization": {"Bearer x"}, c.name: {c.value}}); sentByBrowser(r) {
			t.Errorf("%s with %s: browsers send no bearer tokens by themselves", c.method, c.name)
		}
	}
}

func TestBrowsersConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		who  Caller
		good bool
	}{
		"a program": {Caller{}, true}, "a browser": {Caller{browser: true}, false}, "one that confirmed": {Caller{browser: true, confirmed: true}, true},
	} {
		if err := mayCreate(&c.who); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
