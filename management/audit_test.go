package management

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
)

func TestAudit(t *testing.T) {
	s := newStage(t)
	for i := range 5 {
		s.clock.advance(time.Minute)
		s.admin("PUT", fmt.Sprint("/robots/r", i), `{"secret":"Chosen-Secret-1"}`).want(201)
	}
	s.clock.advance(time.Minute)
	s.call("root", "PUT", "/read-only", `{"read_only":true}`).want(200)
	objects := func(query string) string {
		t.Helper()
		var page List[AuditEvent]
		s.admin("GET", "/audit"+query, nil).want(200).into(&page)
		var ids []string
		for _, e := range page.Items {
			ids = append(ids, e.Object.ID)
		}
		return strings.Join(ids, " ")
	}
	for query, want := range map[string]string{
		"":                               "read_only r4 r3 r2 r1 r0",
		"?limit=2":                       "read_only r4",
		"?actor=user:root":               "read_only",
		"?actor=root&action=robot.":      "r4 r3 r2 r1 r0",
		"?action=robot.create&object=r2": "r2",
		"?action=robot":                  "",
		"?since=2026-03-01T12:04:00Z":    "read_only r4 r3",
		"?until=2026-03-01T12:02:00Z":    "r0",
		"?since=2026-03-01T12:02:00Z&until=2026-03-01T12:03:00Z": "r1",
	} {
		if got := objects(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	var first List[AuditEvent]
	s.admin("GET", "/audit?limit=4", nil).want(200).into(&first)
	if got := objects("?limit=4&cursor=" + first.Next); got != "r1 r0" {
		t.Errorf("the second page: %s", got)
	}
	export := s.admin("GET", "/audit/export?action=robot.", nil).want(200)
	lines := strings.Split(strings.TrimSpace(string(export.body)), "\n")
	for _, line := range lines {
		var e AuditEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Actor.RequestID != "req-1" || e.Actor.Remote == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if len(lines) != 5 || strings.Contains(string(export.body), "Chosen") || strings.Contains(string(export.body), "argon2") {
		t.Errorf("%s", export.body)
	}
	s.admin("GET", "/audit?since=yesterday", nil).want(422, CodeInvalid)
	s.call("alice", "GET", "/audit", nil).want(403)
	s.call("alice", "GET", "/audit/export", nil).want(403)
	s.store.Fail(faultstore.History, store.ErrUnavailable)
	s.admin("GET", "/audit", nil).want(503, CodeUnavailable)
	s.admin("GET", "/audit/export", nil).want(503, CodeUnavailable)
}

func TestExplain(t *testing.T) {
	s := prepare(t)
	ask := func(as, query string) Explanation {
		t.Helper()
		var x Explanation
		s.call(as, "GET", "/explain?"+query, nil).want(200).into(&x)
		return x
	}
	x := ask(adminKey, "principal=user:alice&action=push&repository=team-b/app&tag=v1")
	if x.Allowed || !strings.Contains(x.Reason, "nothing grants") || len(x.Would) == 0 {
		t.Errorf("%+v", x)
	}
	if x = ask(adminKey, "principal=user:alice&action=push&repository=team-a/app"); !x.Allowed || !strings.Contains(x.Reason, "team-a") {
		t.Errorf("%+v", x)
	}
	if x = ask(adminKey, "principal=user:bob&action=pull&repository=team-a/app"); x.LockedOut == "" {
		t.Errorf("of somebody who is locked out: %+v", x)
	}
	s.admin("PUT", "/robots/team-a+deploy", `{"permissions":[{"name":"team-a/**","actions":["pull"]}]}`).want(201)
	if x = ask(adminKey, "principal=robot:team-a%2Bdeploy&action=pull&repository=team-a/app"); !x.Allowed {
		t.Errorf("%+v", x)
	}
	if x = ask(adminKey, "principal=robot:none&action=pull&repository=team-a/app"); x.Allowed || x.LockedOut == "" {
		t.Errorf("%+v", x)
	}
	ask("alice", "principal=user:alice&action=pull&repository=elsewhere/app") // about herself
	ask("alice", "principal=user:bob&groups=x,y&roles=r&claims=%7B%22a%22:1%7D&remote=192.0.2.1&action=pull&repository=team-a/app")
	ask("lena", "principal=user:lena&action=pull&repository=elsewhere/app")
	s.call("lena", "GET", "/explain?principal=user:lena&groups=team-a&action=pull&repository=team-a/app", nil).want(403, CodeForbidden) // about others, then
	s.call("alice", "GET", "/explain?principal=user:root&action=pull&repository=team-b/app", nil).want(403, CodeForbidden)
	s.call("alice", "GET", "/who-can?action=pull&repository=team-b/app", nil).want(403, CodeForbidden)
	for _, query := range []string{"", "action=fly&repository=a", "action=pull&repository=A", "principal=x&action=pull&repository=a", "principal=user:x&action=pull&repository=a&remote=x", "claims=x&action=pull&repository=a"} {
		s.admin("GET", "/explain?"+query, nil).want(422, CodeInvalid)
	}
	s.admin("GET", "/who-can?action=pull", nil).want(422)
	var h Holders
	s.call("alice", "GET", "/who-can?action=pull&repository=team-a/app", nil).want(200).into(&h)
	subjects := ""
	for _, i := range h.Items {
		subjects += i.Subject + " "
	}
	if subjects != "user:root user:alice user:carol robot:team-a+deploy " {
		t.Errorf("%s", subjects)
	}
}
