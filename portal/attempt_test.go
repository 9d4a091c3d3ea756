package portal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAttemptsAreOfTheirBrowser, of their state, and good for a while.
func TestAttemptsAreOfTheirBrowser(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	cookieOf := func(a *attempt) string {
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	a := newAttempt("", "/auth/", now)
	other := newAttempt("", "/auth/", now)
	weak := *a
	weak.Secret = "short"
	for name, test := range map[string]struct {
		state, cookie string
		after         time.Duration
		want          bool
	}{
		"its own":              {a.state(), cookieOf(a), 0, true},
		"at the end":           {a.state(), cookieOf(a), attemptLife, true},
		"too late":             {a.state(), cookieOf(a), attemptLife + time.Second, false},
		"a clock that is off":  {a.state(), cookieOf(a), -time.Minute, true},
		"a clock far off":      {a.state(), cookieOf(a), -time.Minute - time.Second, false},
		"another's cookie":     {a.state(), cookieOf(other), 0, false},
		"another's state":      {a.ID + other.state()[16:], cookieOf(a), 0, false},
		"a state cut off":      {a.ID, cookieOf(a), 0, false},
		"no state":             {"", cookieOf(a), 0, false},
		"no cookie":            {a.state(), "", 0, false},
		"a cookie of nothing":  {a.state(), "e30", 0, false},
		"a cookie of nonsense": {a.state(), "!!!", 0, false},
		"no JSON":              {a.state(), "AAAA", 0, false},
		"a weak secret":        {weak.state(), cookieOf(&weak), 0, false},
		"an id of odd letters": {strings.ToLower(a.state()), cookieOf(a), 0, false},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		if test.cookie != "" {
			id, _, _ := strings.Cut(test.state, ".")
			r.Header.Set("Cookie", attemptCookie+id+"="+test.cookie)
		}
		got := takeAttempt(w, r, test.state, false, now.Add(test.after))
		if (got != nil) != test.want {
			t.Errorf("%s: %+v", name, got)
		}
		if removed := strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0"); test.want && !removed {
			t.Errorf("%s: the cookie stays", name)
		}
	}
	// A seventh tab takes the place of the others.
	for open, want := range map[int]int{maxAttempts - 1: 1, maxAttempts: maxAttempts + 1} {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		for i := range open {
			r.AddCookie(&http.Cookie{Name: fmt.Sprintf("%s%016d", attemptCookie, i), Value: "x"})
		}
		r.AddCookie(&http.Cookie{Name: "another", Value: "x"})
		if err := a.keep(w, r, false); err != nil || len(w.Header()["Set-Cookie"]) != want {
			t.Errorf("%d are open: %q, %v", open, w.Header()["Set-Cookie"], err)
		}
	}
}

func TestAttemptsAreUsedOnce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var u usedAttempts
	first := newAttempt("", "", now)
	if !u.use(first, now) || u.use(first, now) {
		t.Error("not used once")
	}
	if u.forget(first); !u.use(first, now) {
		t.Error("what failed is remembered")
	}
	for i := range maxUsed - 1 {
		u.seen[fmt.Sprint(i)] = now
	}
	if u.use(newAttempt("", "", now), now) || len(u.seen) != maxUsed {
		t.Error("more are remembered than there are places")
	}
	if now = now.Add(attemptLife); u.use(newAttempt("", "", now), now) {
		t.Error("forgotten early")
	}
	if now = now.Add(1); !u.use(newAttempt("", "", now), now) || len(u.seen) != 1 {
		t.Errorf("%d are remembered after a while", len(u.seen))
	}
}

func TestWaysBackStayHere(t *testing.T) {
	for target, want := range map[string]bool{
		"/auth/": true, "/auth/device?user_code=A-B": true, "/a?b=%2F": true, "/a?b=//c": true, "/": true, "/" + strings.Repeat("a", maxReturn-1): true,
		"/" + strings.Repeat("a", maxReturn): false, "": false, "auth/": false, "//evil.example": false, "/\\evil.example": false, "/a\\b": false, "/a b": false, "/a\tb": false, "/a\x7f": false, "/é": false,
		"/a%2f": false, "/a//b": false, "/a/../b": false, "/.a": false, "/a@b": false, "/a#b": false, "/a\"b": false, "/a<b": false, "/a>b": false, "/a^b": false, "/a`b": false, "/a{b": false, "/a|b": false, "/a}b": false,
		"https://evil.example/": false, "/a:b": true, "/~a": true,
	} {
		got := localPath(target, "/fallback")
		if (got == target) != want || !want && got != "/fallback" {
			t.Errorf("%q: %q", target, got)
		}
	}
}

// TestWhatProvidersSeeSaysNothing: each value is of its purpose, attempt and
// provider, so that none tells another.
func TestWhatProvidersSeeSaysNothing(t *testing.T) {
	a := newAttempt("one", "", time.Unix(1, 0))
	other, elsewhere := *a, *a
	other.ID, elsewhere.Provider = newAttempt("", "", time.Unix(1, 0)).ID, "two"
	seen := map[string]string{}
	for name, of := range map[string]*attempt{"a": a, "another": &other, "elsewhere": &elsewhere} {
		for _, purpose := range []string{"state", "nonce", "pkce", "confirm"} {
			value := of.derive(purpose)
			if before, twice := seen[value]; twice {
				t.Errorf("the %s of %s is the %s", purpose, name, before)
			}
			seen[value] = purpose + " of " + name
		}
	}
}
