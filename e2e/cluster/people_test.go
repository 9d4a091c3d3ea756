package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// peopleLines sign people in at a certified provider, and ask it every two
// seconds whether they are still there.
const peopleLines = withKey + `
		public_url URL
		oidc ISSUER {
			client_id web
			client_secret {env.WEB_SECRET}
			scopes openid profile groups
			recheck 2s
		}
		token {
			refresh_tokens on
			refresh_token_rotation on
		}
		project team/** {
			maintainer group:team-maintainers
		}`

// peopleScene is two gateways behind one address, with an identity provider.
type peopleScene struct {
	*testing.T
	a, b  *node
	front *balancer
	idp   *idp.Certified
}

func newPeopleScene(t *testing.T, lines ...string) *peopleScene {
	t.Helper()
	process.Need(t, "node", "npm")
	s := &peopleScene{T: t, front: newBalancer(t)}
	var err error
	if s.idp, err = idp.StartCertifiedFor(t.Context(), t.TempDir(), s.front.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.idp.Stop() }) // the test has stopped it before
	s.a, s.b, _ = pair(t, strings.NewReplacer("URL", s.front.URL, "ISSUER", s.idp.Issuer).Replace(peopleLines+strings.Join(lines, "")), "WEB_SECRET=web-secret")
	s.front.to.Store(s.a)
	return s
}

// signIn begins on one gateway; the provider's answer arrives at another one.
func (s *peopleScene) signIn(user string, begin, answered *node) *idp.Person {
	s.Helper()
	s.front.to.Store(begin)
	p, err := idp.NewPerson(s.front.URL)
	if err != nil {
		s.Fatal(err)
	}
	form, err := p.Begin(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	s.front.to.Store(answered)
	if err := p.Finish(s.Context(), form, user); err != nil {
		s.Fatal(err)
	}
	return p
}

// reads reports whether a browser's session reads the registry at a gateway.
func (s *peopleScene) reads(p *idp.Person, n *node) bool {
	s.Helper()
	text, err := p.At(n.URL).Open(s.Context(), "/v2/team/app/tags/list")
	if err != nil {
		s.Fatal(err)
	}
	return strings.Contains(text, `"tags":["x"]`)
}

// post sends a form to a gateway as a program does.
func (s *peopleScene) post(n *node, path string, form url.Values) (int, map[string]any) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, n.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		s.Fatalf("%s: %s: %v", path, res.Status, err)
	}
	return res.StatusCode, answer
}

// exchange reports whether a gateway gives a registry token for an identity
// token.
func (s *peopleScene) exchange(n *node, identityToken string) bool {
	s.Helper()
	status, _ := s.post(n, "/v2/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {identityToken}, "service": {stage.Service}, "client_id": {"docker"},
		"scope": {"repository:team/app:pull"},
	})
	return status == http.StatusOK
}

// accessToken makes an access token with the page.
func (s *peopleScene) accessToken(p *idp.Person, name string) string {
	s.Helper()
	page, err := p.Send(s.Context(), "/auth/tokens", url.Values{"name": {name}, "days": {"7"}})
	if err != nil {
		s.Fatal(err)
	}
	token := regexp.MustCompile(`crapt_\w+`).FindString(page)
	if token == "" {
		s.Fatalf("no access token on the page: %.400s", page)
	}
	return token
}

// identityToken gets what docker login keeps.
func (s *peopleScene) identityToken(n *node, user, accessToken string) string {
	s.Helper()
	status, answer := s.post(n, "/v2/token", url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {accessToken}, "service": {stage.Service},
		"client_id": {"docker"}, "access_type": {"offline"},
	})
	token, _ := answer["refresh_token"].(string)
	if status != http.StatusOK || token == "" {
		s.Fatalf("no identity token: %d %v", status, answer)
	}
	return token
}

// TestPeople: people do not notice which of two gateways answers.
func TestPeople(t *testing.T) {
	s := newPeopleScene(t)
	t.Run("signed in on A, on with B", func(t *testing.T) {
		alice := s.signIn("alice", s.a, s.a)
		took := within(t, time.Second, "B knows the session", func() bool { return s.reads(alice, s.b) })
		t.Logf("the session is good on B after %s", took)
		page, err := alice.At(s.b.URL).Open(t.Context(), "/auth/")
		if err != nil || !strings.Contains(page, "What I may do") || !strings.Contains(page, "team-maintainers") {
			t.Errorf("the first page on B: %v: %.300s", err, page)
		}
		s.front.to.Store(s.b)
		if _, err := alice.Send(t.Context(), "/auth/sign-out", url.Values{}); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, "signed out on A", func() bool { return !s.reads(alice, s.a) })
	})
	t.Run("begun on A, answered at B", func(t *testing.T) {
		alice := s.signIn("alice", s.a, s.b)
		if !s.reads(alice, s.b) {
			t.Error("B does not know whom it has signed in")
		}
		within(t, time.Second, "A knows the session", func() bool { return s.reads(alice, s.a) })
	})
	t.Run("a device", s.device)
	t.Run("identity tokens", s.rotate)
	t.Run("the provider's logout arrives at B", func(t *testing.T) {
		alice := s.signIn("alice", s.a, s.a)
		within(t, time.Second, "B knows the session", func() bool { return s.reads(alice, s.b) })
		s.front.to.Store(s.b)
		if err := alice.SignOutAt(t.Context(), s.idp); err != nil {
			t.Fatal(err)
		}
		took := within(t, time.Second, "the session ends on A", func() bool { return !s.reads(alice, s.a) })
		t.Logf("the session ended on A after %s", took)
		if s.reads(alice, s.b) {
			t.Error("the session goes on on B")
		}
	})
}

// device is a login that is begun on A, approved on B, and taken on A once.
func (s *peopleScene) device(t *testing.T) {
	alice := s.signIn("alice", s.b, s.b)
	_, begun := s.post(s.a, "/auth/device/code", url.Values{"client_id": {"probe"}, "client_name": {"a machine"}})
	userCode, _ := begun["user_code"].(string)
	deviceCode, _ := begun["device_code"].(string)
	within(t, time.Second, "B shows the code", func() bool {
		page, err := alice.At(s.b.URL).Open(t.Context(), "/auth/device?user_code="+url.QueryEscape(userCode))
		return err == nil && strings.Contains(page, "a machine")
	})
	s.front.to.Store(s.b)
	if _, err := alice.Send(t.Context(), "/auth/device/approve", url.Values{"user_code": {userCode}}); err != nil {
		t.Fatal(err)
	}
	take := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"probe"}, "device_code": {deviceCode}}
	time.Sleep(time.Second) // the client may ask every five seconds only, and A must know by now
	status, answer := s.post(s.a, "/auth/device/token", take)
	token, _ := answer["refresh_token"].(string)
	if status != http.StatusOK || !s.exchange(s.a, token) {
		t.Fatalf("A: %d %v", status, answer["error"])
	}
	within(t, time.Second, "the identity token on B", func() bool { return s.exchange(s.b, token) })
	if status, answer := s.post(s.b, "/auth/device/token", take); status != http.StatusBadRequest {
		t.Errorf("the code once more, on B: %d %v", status, answer["error"])
	}
}

// rotate exchanges an identity token on A for a new one, which is good on B;
// who does not ask for a new one keeps the old one. Neither is good for
// another service or as a password.
func (s *peopleScene) rotate(t *testing.T) {
	alice := s.signIn("alice", s.a, s.a)
	token := s.identityToken(s.a, "alice", s.accessToken(alice, "rotated"))
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {stage.Service}, "client_id": {"docker"}}
	if status, answer := s.post(s.a, "/v2/token", form); status != http.StatusOK || answer["refresh_token"] != nil && answer["refresh_token"] != token {
		t.Errorf("a client that keeps its token: %d, another one: %t", status, answer["refresh_token"] != token)
	}
	form.Set("access_type", "offline")
	_, answer := s.post(s.a, "/v2/token", form)
	next, _ := answer["refresh_token"].(string)
	if next == token || !strings.HasPrefix(next, "crait_") {
		t.Fatalf("not rotated: %v", answer["error"])
	}
	within(t, time.Second, "the new one on B", func() bool { return s.exchange(s.b, next) })
	form.Set("refresh_token", next)
	form.Set("service", "another.example.com")
	if status, _ := s.post(s.b, "/v2/token", form); status == http.StatusOK {
		t.Error("it is good for another service")
	}
	if got := s.b.send(t.Context(), "GET", "/v2/", stage.Basic("alice", next), "").StatusCode; got != http.StatusUnauthorized {
		t.Errorf("as a password: %d", got)
	}
}

// TestPeopleWhoLeave: two gateways ask about people, one at a time, with
// refresh tokens that are good once; who is gone is gone on both.
func TestPeopleWhoLeave(t *testing.T) {
	s := newPeopleScene(t)
	var bearers, identity []string
	var browsers []*idp.Person
	for _, user := range []string{"alice", "admin", "bob", "carol"} {
		p := s.signIn(user, s.a, s.b)
		token := s.accessToken(p, fmt.Sprint(user, "s"))
		browsers = append(browsers, p)
		bearers = append(bearers, stage.Basic(user, token))
		identity = append(identity, s.identityToken(s.b, user, token))
	}
	works := func(i int) bool {
		for _, n := range []*node{s.a, s.b} {
			if n.send(t.Context(), "GET", "/v2/", bearers[i], "").StatusCode != 200 || !s.exchange(n, identity[i]) {
				return false
			}
		}
		return true
	}
	within(t, time.Second, "alice's session is known everywhere", func() bool { return s.reads(browsers[0], s.a) && s.reads(browsers[0], s.b) })
	within(t, time.Second, "everybody is known everywhere", func() bool { return works(0) && works(1) && works(2) && works(3) })
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if !works(0) || !works(1) || !works(2) || !works(3) {
			t.Fatal("somebody stopped who is still there")
		}
	}
	asked, err := s.idp.Refreshes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the provider was asked %+v", asked)
	if asked.Granted < 8 || asked.Refused != 0 || asked.Repeated != 0 {
		t.Errorf("the provider was asked %+v: want about each of four people some times, with no token twice", asked)
	}

	if err := s.idp.Dismiss(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	took := within(t, 4*time.Second, "alice is gone on both gateways", func() bool {
		for _, n := range []*node{s.a, s.b} {
			if n.send(t.Context(), "GET", "/v2/", bearers[0], "").StatusCode != 401 || s.exchange(n, identity[0]) || s.reads(browsers[0], n) {
				return false
			}
		}
		return true
	})
	t.Logf("gone on both gateways after %s", took)
	if !works(1) || !works(2) || !works(3) {
		t.Error("somebody else stopped")
	}

	counted := func(outcome string) float64 {
		name := `caddy_registry_auth_rechecks_total{outcome="` + outcome + `"`
		return s.a.metric(t, name) + s.b.metric(t, name)
	}
	if gone, ok, down := counted("gone"), counted("ok"), counted("provider_down"); gone != 1 || ok < 8 || down != 0 {
		t.Errorf("counted: gone %v, ok %v, provider_down %v", gone, ok, down)
	}

	// One gateway is killed: the other one goes on asking.
	s.a.Kill()
	if err := s.idp.Dismiss(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	took = within(t, 70*time.Second, "bob is gone on B", func() bool {
		return s.b.send(t.Context(), "GET", "/v2/", bearers[2], "").StatusCode == 401
	})
	t.Logf("gone on the gateway that is left after %s", took)
}
