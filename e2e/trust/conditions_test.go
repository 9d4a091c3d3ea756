package trust

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const conditional = `http://ADDR {
	registry_auth {
		local {
			user lead {env.PASSWORD}
			user boss {env.PASSWORD}
		}
		admin user:boss
		management {
			api_key test {env.ADMIN_KEY}
		}
	}
	reverse_proxy UPSTREAM
}`

// TestConditionsCostNothingMuch: who administers a project may write conditions,
// and none of them keeps the gateway busy.
func TestConditionsCostNothingMuch(t *testing.T) {
	s := start(t, conditional, nil, passwordHash)
	s.wants(201, "PUT", api+"/projects/team-a", `{"patterns":["team-a/**"],"members":[{"subject":"user:lead","role":"project_admin"}]}`, asAdmin, jsonBody)
	agent := "User-Agent: " + strings.Repeat("a", 60_000)
	nine := `[1,2,3,4,5,6,7,8,9]`
	for _, when := range []string{
		`request.user_agent.matches("(((a{0,9}){0,9}){0,9})*b")`,
		`request.user_agent.matches("(a?){200}(a*)*b") || request.user_agent.matches("(.*a){30}b")`,
		`request.user_agent.matches(request.user_agent)`,
		`"` + strings.Repeat("a", 50) + `".matches("(" + request.user_agent + ")*b")`,
		nine + `.all(a,` + nine + `.all(b,` + nine + `.all(c,` + nine + `.all(d,a+b+c+d>0))))`,
		nine + `.all(a,` + nine + `.all(b,` + nine + `.all(c,request.time.getHours("Europe/Berlin")>=0)))`,
		nine + `.all(a,` + nine + `.all(b,` + nine + `.all(c,size(request.user_agent)>0)))`,
		nine + `.all(a,` + nine + `.all(b,` + nine + `.all(c,request.user_agent.matches("a*b")||true)))`,
	} {
		body := fmt.Sprintf(`{"role":"guest","when":%q}`, when)
		res, answer := s.call("PUT", api+"/projects/team-a/members/anyone", body, person("lead"), jsonBody)
		if res.StatusCode == 422 {
			continue // priced, and too dear
		}
		if res.StatusCode >= 300 {
			t.Errorf("%s: %d %s", when, res.StatusCode, answer)
			continue
		}
		const many = 20
		begin := time.Now()
		for range many {
			s.call("GET", "/v2/team-a/app/manifests/v1", "", agent)
		}
		if each := time.Since(begin) / many; each > 50*time.Millisecond {
			t.Errorf("%s: %s for each request", when, each)
		}
	}
	// What is of use is accepted.
	for _, when := range []string{
		`request.user_agent.matches("^docker/[0-9]+")`,
		`principal.groups.exists(g, g.startsWith("team-"))`,
		`request.time.getHours("Europe/Berlin") >= 8`,
	} {
		res, answer := s.call("PUT", api+"/projects/team-a/members/anyone", fmt.Sprintf(`{"role":"guest","when":%q}`, when), person("lead"), jsonBody)
		if res.StatusCode >= 300 {
			t.Errorf("%s: %d %s", when, res.StatusCode, answer)
		}
	}
}

// TestLimitsHoldForParallelRequests: many requests at once make no more tokens
// and keys than one after another, and none of the same name.
func TestLimitsHoldForParallelRequests(t *testing.T) {
	s := start(t, conditional, nil, passwordHash)
	together := func(path, body, credential string) (made int) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for n := range 16 {
			all.Go(func() {
				body := body
				if body == "" {
					body = fmt.Sprintf(`{"name":"number %d"}`, n)
				}
				res, _ := s.call("POST", api+path, body, credential, jsonBody)
				mu.Lock()
				defer mu.Unlock()
				if res.StatusCode == 201 {
					made++
				}
			})
		}
		all.Wait()
		return made
	}
	if made := together("/tokens", `{"name":"one"}`, person("lead")); made != 1 {
		t.Errorf("%d tokens of one name", made)
	}
	if made := together("/tokens", "", person("boss")); made != 16 {
		t.Errorf("%d of 16 tokens with names of their own", made)
	}
	if made := together("/keys", `{"name":"one","scopes":["robots:read"]}`, asAdmin); made != 1 {
		t.Errorf("%d keys of one name", made)
	}
}
