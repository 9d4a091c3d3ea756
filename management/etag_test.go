package management

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// changing are changes of every kind of record that has an ETag: what makes it,
// and one change that two administrators make, in two ways.
func changing(t *testing.T, s *stage) map[string]struct{ method, path, one, other string } {
	t.Helper()
	s.admin("PUT", "/projects/shared", `{"patterns":["shared/**"]}`).want(201)
	s.admin("PUT", "/role-mappings/user:x", `{"role":"guest"}`).want(201)
	s.admin("PUT", "/robots/ci", `{"permissions":[{"name":"a/**","actions":["pull"]}]}`).want(201)
	s.admin("PUT", "/read-only", `{"read_only":false,"reason":"0"}`).want(200)
	s.admin("PUT", "/owners/a%2Fapp", `{"principal":"robot:0"}`).want(201)
	key := s.admin("POST", "/keys", `{"name":"k","scopes":["robots:read"]}`).want(201).text("id")
	alice := s.see(people["alice"])
	return map[string]struct{ method, path, one, other string }{
		"project":      {"PUT", "/projects/shared", `{"patterns":["shared/**"],"description":"1"}`, `{"patterns":["shared/**"],"description":"2","read_only":true}`},
		"member":       {"PUT", "/projects/shared/members/user:y", `{"role":"guest"}`, `{"role":"developer"}`},
		"role mapping": {"PUT", "/role-mappings/user:x", `{"role":"developer"}`, `{"role":"maintainer"}`},
		"robot":        {"PUT", "/robots/ci", `{"description":"1","permissions":[{"name":"a/**","actions":["pull"]}]}`, `{"description":"2"}`},
		"robot patch":  {"PATCH", "/robots/ci", `{"description":"3"}`, `{"description":"4"}`},
		"rotation":     {"POST", "/robots/ci/rotate", `{}`, `{}`},
		"read only":    {"PUT", "/read-only", `{"read_only":true,"reason":"1"}`, `{"read_only":true,"reason":"2"}`},
		"owner":        {"PUT", "/owners/a%2Fapp", `{"principal":"robot:1"}`, `{"principal":"robot:2"}`},
		"key":          {"PATCH", "/keys/" + key, `{"disabled":true}`, `{"disabled":false}`},
		"user":         {"POST", "/users/" + alice + "/disable", "", ""},
	}
}

// TestETagIsOfTheOwnChange: while an answer waits until the change is in force,
// somebody else makes the next one. The answer has the ETag of its own.
func TestETagIsOfTheOwnChange(t *testing.T) {
	var between func()
	s := newStage(t, func(o *Options) {
		o.InForce = func(context.Context) {
			if f := between; f != nil {
				between = nil
				f()
			}
		}
	})
	for name, c := range changing(t, s) {
		t.Run(name, func(t *testing.T) {
			var theirs string
			between = func() {
				method, path, body := c.method, c.path, any(c.other)
				if name == "user" {
					path, body = strings.Replace(path, "/disable", "/enable", 1), nil
				}
				theirs = s.admin(method, path, body).header.Get("ETag")
			}
			var body any = c.one
			if c.one == "" {
				body = nil
			}
			ours := s.admin(c.method, c.path, body).header.Get("ETag")
			if ours == "" || theirs == "" || ours == theirs {
				t.Fatalf("our change is answered with ETag %s, theirs, which came after, with %s", ours, theirs)
			}
			if name == "rotation" || name == "user" {
				return // the next of the same is another change, or none at all
			}
			s.admin(c.method, c.path, strings.NewReplacer(`"1"`, `"5"`, `"3"`, `"6"`, `robot:1`, `robot:5`, "guest", "limited_guest", `"developer"`, `"guest"`, "true", "true").Replace(c.one), "If-Match", ours).want(412)
		})
	}
}

// TestCountingWithIfMatchLosesNothing: clients count up, each with the ETag of
// what it has seen last, be it read or answered.
func TestCountingWithIfMatchLosesNothing(t *testing.T) {
	s := newStage(t)
	do := func(method, body string, header ...string) (int, string, int) {
		r := httptest.NewRequestWithContext(t.Context(), method, s.api.prefix+"/robots/count", strings.NewReader(body))
		r.RemoteAddr = s.remote
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set("Content-Type", "application/json")
		if len(header) > 0 {
			r.Header.Set(header[0], header[1])
		}
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r)
		var robot struct{ Description string }
		_ = json.Unmarshal(w.Body.Bytes(), &robot)
		n := 0
		_, _ = fmt.Sscan(robot.Description, &n)
		return w.Code, w.Header().Get("ETag"), n
	}
	count := func(n int) string {
		return fmt.Sprintf(`{"description":"%d","permissions":[{"name":"a/**","actions":["pull"]}]}`, n)
	}
	if status, _, _ := do("PUT", count(0)); status != http.StatusCreated {
		t.Fatal(status)
	}
	var counted atomic.Int64
	var clients sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 8 {
		clients.Go(func() {
			tag, n := "", 0
			for time.Now().Before(end) {
				if tag == "" {
					_, tag, n = do("GET", "")
				}
				status, next, now := do("PUT", count(n+1), "If-Match", tag)
				if status != http.StatusOK || now != n+1 {
					tag = ""
					continue
				}
				counted.Add(1)
				tag, n = next, now
			}
		})
	}
	clients.Wait()
	if _, _, n := do("GET", ""); int64(n) != counted.Load() || n == 0 {
		t.Errorf("the counter is %d, %d were acknowledged", n, counted.Load())
	}
}

// TestRepeatedChangeIsRecognised: whoever did not get the answer asks again with
// the same If-Match, and is told that it is done.
func TestRepeatedChangeIsRecognised(t *testing.T) {
	s := newStage(t)
	for name, c := range changing(t, s) {
		if name == "rotation" || name == "member" {
			continue // the one needs an Idempotency-Key, the other is new
		}
		t.Run(name, func(t *testing.T) {
			var body any = c.one
			if c.one == "" {
				body = nil
			}
			read := strings.NewReplacer("/disable", "", "/rotate", "").Replace(c.path)
			before := s.admin("GET", read, nil).want(200).header.Get("ETag")
			s.store.LoseAcknowledgements(1)
			s.admin(c.method, c.path, body, "If-Match", before).want(503)
			var now string
			for end := time.Now().Add(time.Second); now == "" || now == before && time.Now().Before(end); {
				now = s.admin("GET", read, nil).want(200).header.Get("ETag")
			}
			if got := s.admin(c.method, c.path, body, "If-Match", before).want(200).header.Get("ETag"); got != now {
				t.Errorf("asked again: ETag %s, want %s", got, now)
			}
			if c.other != "" {
				s.admin(c.method, c.path, c.other, "If-Match", before).want(412)
			}
		})
	}
}
