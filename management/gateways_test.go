package management

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// twoGateways are two on one store, of which the second hears of the first one's
// changes late: only when late is called, or after a while.
func twoGateways(t *testing.T) (a, b *stage, late func(do func())) {
	t.Helper()
	shared := memstore.New()
	a, b = newStageOn(t, shared), newStageOn(t, shared)
	return a, b, func(do func()) {
		b.caughtUp(a)
		b.store.Hold()
		do()
		time.AfterFunc(50*time.Millisecond, b.store.Release)
	}
}

// caughtUp waits until a gateway knows what another one does.
func (s *stage) caughtUp(with *stage) {
	s.t.Helper()
	if err := with.state.Sync(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.state.CaughtUp(s.t.Context(), with.state.Sequence()); err != nil {
		s.t.Fatal(err)
	}
}

// outside is a project with repositories that are not below its name, and a robot
// in it that may do something there.
const (
	outside      = `{"patterns":["elsewhere/**"]}`
	outsideRobot = `{"permissions":[{"name":"elsewhere/**","actions":["push"]}]}`
)

// TestProjectIsNotDeletedUnderARobot: a robot is made on one gateway while
// another one, which does not know yet, deletes its project.
func TestProjectIsNotDeletedUnderARobot(t *testing.T) {
	a, b, late := twoGateways(t)
	a.admin("PUT", "/projects/web", outside).want(201)
	late(func() { a.admin("PUT", "/robots/web+ci", outsideRobot).want(201) })
	b.admin("DELETE", "/projects/web", nil).want(409, CodeConflict)
	a.admin("GET", "/projects/web", nil).want(200)
}

// TestRobotIsNotMadeInADeletedProject is the other way round.
func TestRobotIsNotMadeInADeletedProject(t *testing.T) {
	a, b, late := twoGateways(t)
	a.admin("PUT", "/projects/web", outside).want(201)
	late(func() { a.admin("DELETE", "/projects/web", nil).want(204) })
	b.admin("PUT", "/robots/web+ci", outsideRobot).want(422, CodeInvalid)
	a.caughtUp(b)
	a.admin("GET", "/robots/web+ci", nil).want(404)
}

// TestImportDoesNotOrphanRobots: a document without a project does not delete it
// under its robots.
func TestImportDoesNotOrphanRobots(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/projects/web", outside).want(201)
	s.admin("PUT", "/robots/web+ci", outsideRobot).want(201)
	s.admin("POST", "/import?prune=true", `{"version":1,"projects":[]}`).want(422, CodeInvalid)
	s.admin("POST", "/import?prune=true", `{"version":1,"projects":[],"robots":[]}`).want(200)
}

// TestReadOnlyEndsWithItsProject: a project is switched to read-only on one gateway
// while another one deletes it. The next one of that name is not read-only.
func TestReadOnlyEndsWithItsProject(t *testing.T) {
	a, b, late := twoGateways(t)
	a.admin("PUT", "/projects/web", outside).want(201)
	late(func() { a.admin("PUT", "/projects/web/read-only", `{"read_only":true}`).want(200) })
	b.admin("DELETE", "/projects/web", nil).want(204)
	b.admin("PUT", "/projects/web", outside).want(201)
	if got := b.admin("GET", "/projects/web/read-only", nil).want(200).text("read_only"); got != "false" {
		t.Errorf("a new project is read-only: %s", got)
	}
}

// TestKeysHaveOneName on all gateways.
func TestKeysHaveOneName(t *testing.T) {
	a, b, late := twoGateways(t)
	key := `{"name":"terraform","scopes":["robots:read"]}`
	late(func() { a.admin("POST", "/keys", key).want(201) })
	b.admin("POST", "/keys", key).want(409, CodeExists)
}

// TestTokensAreCountedOnAllGateways: two make a person's last token, and one of the
// same name.
func TestTokensAreCountedOnAllGateways(t *testing.T) {
	a, b, late := twoGateways(t)
	user := a.see(people["alice"])
	var tx state.Tx
	for i := range maxTokens - 1 {
		state.Put(&tx, a.state.Tokens, "t"+string(rune('0'+i/26))+string(rune('a'+i%26)), &state.Token{User: user, Expires: a.clock.now().Add(time.Hour)}, state.Absent)
	}
	if err := a.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	late(func() { a.call("alice", "POST", "/tokens", `{"name":"last"}`).want(201) })
	b.call("alice", "POST", "/tokens", `{"name":"one too many"}`).want(409, CodeConflict)
}

// TestSignOutMissesNothing: a token is made on one gateway while another one signs
// its owner out everywhere.
func TestSignOutMissesNothing(t *testing.T) {
	a, b, late := twoGateways(t)
	user := a.see(people["alice"])
	a.clock.advance(10 * time.Second) // it is ahead
	var token string
	late(func() { token = a.call("alice", "POST", "/tokens", `{"name":"x"}`).want(201).text("id") })
	b.admin("POST", "/users/"+user+"/sign-out", nil).want(204)
	a.caughtUp(b)
	if _, ok := a.state.Tokens.Get(token); ok {
		t.Error("the token is still there")
	}
}

// TestTokenOfTheSecondOfASignOut is good: it was made afterwards.
func TestTokenOfTheSecondOfASignOut(t *testing.T) {
	s := newStage(t)
	user := s.see(people["alice"])
	s.clock.advance(700 * time.Millisecond)
	s.admin("POST", "/users/"+user+"/sign-out", nil).want(204)
	s.clock.advance(100 * time.Millisecond)
	id := s.call("alice", "POST", "/tokens", `{"name":"x"}`).want(201).text("id")
	if _, err := s.state.IssuedSecret(id); err != nil {
		t.Error(err)
	}
}

// TestRevocationDoesNotMoveBack: everything is revoked on two gateways, of which
// the second one's clock is behind.
func TestRevocationDoesNotMoveBack(t *testing.T) {
	a, b, _ := twoGateways(t)
	user := a.see(people["alice"])
	a.clock.advance(10 * time.Second)
	for _, g := range []*stage{a, b} {
		g.caughtUp(a)
		g.admin("POST", "/revocations", `{"all":true}`).want(201)
		g.admin("POST", "/revocations", `{"principal":"robot:ci"}`).want(201)
		g.admin("POST", "/users/"+user+"/sign-out", nil).want(204)
	}
	a.caughtUp(b)
	at := a.clock.now()
	for _, id := range []string{state.RevokeAll, state.RevokePrincipal("robot:ci")} {
		if r, _ := a.state.Revocations.Get(id); r.Value.NotBefore.Before(at) {
			t.Errorf("%s has moved back to %s, from %s", id, r.Value.NotBefore, at)
		}
	}
	if u, _ := a.state.Users.Get(user); u.Value.NotBefore.Before(at) {
		t.Errorf("the user is signed out as of %s, and was as of %s", u.Value.NotBefore, at)
	}
	// What the fast gateway issued before it knew has ended, what it issues now has not.
	p := &authn.Principal{Kind: authn.KindRobot, Name: "ci", Credential: authn.CredentialRegistryToken, Issued: at.Add(5 * time.Second), AsOf: 1}
	if a.state.Check(p) == nil {
		t.Error("a token of a gateway whose clock is ahead is still good")
	}
	p.Issued = at.Truncate(time.Second)
	p.AsOf, p.History = a.state.AsOf()
	if err := a.state.Check(p); err != nil {
		t.Errorf("a token that was issued afterwards: %v", err)
	}
}

// TestImportSaysOneThingOfEach: a document that has something twice is wrong.
func TestImportSaysOneThingOfEach(t *testing.T) {
	s := newStage(t)
	_, hash := authn.NewSecret(authn.SecretAPIKey)
	for field, doc := range map[string]string{
		"robots[1]":             `"robots":[{"name":"x","permissions":[{"name":"a/**","actions":["pull"]}]},{"name":"x"}]`,
		"projects[1]":           `"projects":[{"name":"x","patterns":["a/**"]},{"name":"x","patterns":["b/**"]}]`,
		"role_mappings[1]":      `"role_mappings":[{"principal":"user:x","role":"developer"},{"principal":"user:x","role":"guest"}]`,
		"api_keys[1]":           `"api_keys":[{"name":"x","scopes":["*"],"hash":"` + hash + `"},{"name":"y","scopes":["*"],"hash":"` + hash + `"}]`,
		"owners[1]":             `"owners":[{"repository":"a/b","principal":"robot:x"},{"repository":"a/b","principal":"robot:y"}]`,
		"locked_out[1]":         `"locked_out":[{"name":"x"},{"name":"x"}]`,
		"read_only_projects[1]": `"read_only_projects":["team-a","team-a"]`,
	} {
		got := s.admin("POST", "/import", `{"version":1,`+doc+`}`).want(422, CodeInvalid)
		if !strings.Contains(string(got.body), field) {
			t.Errorf("%s is not named: %s", field, got.body)
		}
	}
}

// TestImportedKeysHaveOneName, among themselves and with those in the store.
func TestImportedKeysHaveOneName(t *testing.T) {
	s := newStage(t)
	s.admin("POST", "/keys", `{"name":"terraform","scopes":["*"]}`).want(201)
	key := func(name string) string {
		_, hash := authn.NewSecret(authn.SecretAPIKey)
		return `{"name":"` + name + `","scopes":["*"],"hash":"` + hash + `"}`
	}
	for _, keys := range []string{key("terraform"), key("x") + "," + key("x")} {
		s.admin("POST", "/import", `{"version":1,"api_keys":[`+keys+`]}`).want(422, CodeInvalid)
	}
	s.admin("POST", "/import", `{"version":1,"api_keys":[`+key("x")+","+key("y")+`]}`).want(200)
}

// TestIdempotencyKeyThatHasEnded is as good as a new one, before it is tidied up.
func TestIdempotencyKeyThatHasEnded(t *testing.T) {
	s := newStage(t)
	robot := func(name string) string {
		return `{"name":"` + name + `","permissions":[{"name":"a/**","actions":["pull"]}]}`
	}
	s.admin("POST", "/robots", robot("one"), "Idempotency-Key", "k").want(201)
	s.clock.advance(keepOnce + time.Second)
	s.admin("POST", "/robots", robot("two"), "Idempotency-Key", "k").want(201)
}

// TestWhatIsUnchangedIsAskedOfTheStore: on one gateway something is switched on or
// off, and the other one, which does not know yet, is to switch it back. It does not
// say that nothing is to be done.
func TestWhatIsUnchangedIsAskedOfTheStore(t *testing.T) {
	a, b, late := twoGateways(t)
	user := a.see(people["alice"])
	a.admin("PUT", "/robots/ci", outsideRobot).want(201)
	a.admin("PUT", "/read-only", `{"read_only":false}`).want(200)
	a.admin("PUT", "/projects/web", outside).want(201)
	robots := func(disabled bool) string {
		return fmt.Sprintf(`{"version":1,"robots":[{"name":"ci","disabled":%t,"permissions":[{"name":"elsewhere/**","actions":["push"]}]}]}`, disabled)
	}
	for name, at := range map[string]struct{ method, path, do, back, read, field, want string }{
		"a robot":    {"PUT", "/robots/ci", strings.Replace(outsideRobot, "{", `{"disabled":true,`, 1), outsideRobot, "/robots/ci", "disabled", ""},
		"a user":     {"POST", "/users/" + user, "/disable", "/enable", "/users/" + user, "disabled", "false"},
		"read-only":  {"PUT", "/read-only", `{"read_only":true}`, `{"read_only":false}`, "/read-only", "read_only", "false"},
		"a project":  {"PUT", "/projects/web", `{"patterns":["other/**"]}`, outside, "/projects/web", "patterns", "[elsewhere/**]"},
		"a document": {"POST", "/import", robots(true), robots(false), "/robots/ci", "disabled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			call := func(s *stage, what string) {
				if verb, ok := strings.CutPrefix(what, "/"); ok {
					s.admin(at.method, at.path+"/"+verb, nil).want(200)
					return
				}
				s.admin(at.method, at.path, what).want(200)
			}
			late(func() { call(a, at.do) })
			call(b, at.back)
			a.caughtUp(b)
			if got := a.admin("GET", at.read, nil).want(200).text(at.field); got != at.want {
				t.Errorf("%s is %s", at.field, got)
			}
		})
	}
}
