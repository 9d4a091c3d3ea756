package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// TestGoodOnceOnBoth: what is good once on one of two gateways is not good on the
// other one, nor after a restart of both, and what is counted is counted together.
func TestGoodOnceOnBoth(t *testing.T) {
	process.Need(t, "node", "npm")
	jobs, err := idp.StartCertified(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = jobs.Stop() })
	s := newPeopleScene(t, `
		workload job `+jobs.Issuer+` {
			audience `+stage.Service+`
			require repository_owner acme
			single_use
		}
		project team/** {
			name jobs
			developer workload:job
		}`)
	t.Run("a workload's token", func(t *testing.T) { s.job(t, jobs) })
	t.Run("a provider's answer", s.callback)
	t.Run("wrong secrets", s.strikes)
}

func (s *peopleScene) job(t *testing.T, jobs *idp.Certified) {
	token := func(id string) string {
		token, err := jobs.JobToken(t.Context(), stage.Service, jose.Object{"sub": "repo:acme/app", "repository_owner": "acme", "jti": id}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return stage.Basic("job", token)
	}
	spent, other := token("one"), token("two")
	s.a.want(t, "on A", spent, 200)
	for range 2 {
		s.b.want(t, "once more, on B", spent, 401)
		s.a.want(t, "once more, on A", spent, 401)
		for _, n := range []*node{s.a, s.b} {
			if err := n.Restart(t.Context(), n.config); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.b.want(t, "another one, on B", other, 200)
	s.a.want(t, "another one, on A", other, 401)
}

// callback brings the provider's answer of a sign-in again, with the cookies of then.
func (s *peopleScene) callback(t *testing.T) {
	alice := s.signIn("alice", s.a, s.a)
	if !s.reads(alice, s.a) {
		t.Fatal("not signed in")
	}
	answer := s.front.callback.Load()
	for _, n := range []*node{s.b, s.a} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL+answer.URL.RequestURI(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.Header = answer.Host, answer.Header.Clone()
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if cookies := strings.Join(res.Header["Set-Cookie"], " "); res.StatusCode < 400 || strings.Contains(cookies, "registry_session") {
			t.Errorf("once more: %d %s", res.StatusCode, cookies)
		}
	}
}

// strikes shows wrong secrets of a robot to A until one fewer is left, and then to B.
func (s *peopleScene) strikes(t *testing.T) {
	s.a.robot(t, "guessed")
	guess := func(n *node, i int) int {
		return n.status(t, stage.Basic("robot$guessed", fmt.Sprint("guess-", i)))
	}
	wrong := 0
	for ; wrong < 8; wrong++ {
		if got := guess(s.a, wrong); got != 401 {
			t.Fatalf("guess %d on A: %d", wrong, got)
		}
	}
	time.Sleep(4 * time.Second) // others are told every two
	for here := range 5 {
		if guess(s.b, 100+here) == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("B does not count what was wrong on A")
}
