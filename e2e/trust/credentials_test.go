package trust

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

const credentials = `http://ADDR {
	registry_auth {
		local {
			user lead {env.PASSWORD}
			user boss {env.PASSWORD}
		}
		admin user:boss
		project team-a/** {
			name team-a
			project_admin user:lead
		}
		management {
			api_key test {env.ADMIN_KEY}
			api_key networked {env.NETWORK_KEY} {
				from 192.0.2.0/24
			}
			harbor_robots
		}
	}
	reverse_proxy UPSTREAM
}`

// TestKeysAreAcceptedFromTheirNetworksOnly: stored ones and those of the
// configuration.
func TestKeysAreAcceptedFromTheirNetworksOnly(t *testing.T) {
	s := start(t, credentials, nil, passwordHash, "NETWORK_KEY="+networkKey)
	for from, status := range map[string]int{"192.0.2.0/24": 401, "127.0.0.0/8": 200} {
		made := s.wants(201, "POST", api+"/keys", fmt.Sprintf(`{"name":"from %s","scopes":["*"],"from":[%q]}`, from, from), asAdmin, jsonBody)
		secret := member(t, made, "secret")
		s.wants(status, "GET", api+"/robots", "", bearer(secret))
		s.wants(status, "GET", api+"/robots", "", basic("any", secret))
		s.wants(status, "GET", "/api/v2.0/robots", "", bearer(secret))
	}
	s.wants(401, "GET", api+"/robots", "", bearer(networkKey))
}

// TestRegistryTokensAreForTheRegistryOnly: one that is shown to the management
// API, in its own form or in Harbor's, is refused, whoever's it is.
func TestRegistryTokensAreForTheRegistryOnly(t *testing.T) {
	s := start(t, credentials, nil, passwordHash, "NETWORK_KEY="+networkKey)
	token := member(t, s.wants(200, "GET", "/v2/token?service=registry&scope=repository:team-a/app:pull,push", "", person("boss")), "token")
	if !s.may(bearer(token), "team-a/app") {
		t.Fatal("the token is not good for the registry")
	}
	for _, path := range []string{api + "/whoami", api + "/robots", api + "/tokens", "/api/v2.0/robots"} {
		s.wants(401, "GET", path, "", bearer(token))
		s.wants(401, "GET", path, "", basic("boss", token))
	}
	s.wants(401, "POST", api+"/tokens", `{"name":"x"}`, bearer(token), jsonBody)
	s.wants(401, "POST", api+"/robots", `{"name":"x"}`, bearer(token), jsonBody)
}

// TestDisabledUserIsOutEverywhere: with the password, the access token and the
// registry token that they have, and in again when they are enabled.
func TestDisabledUserIsOutEverywhere(t *testing.T) {
	s := start(t, credentials, nil, passwordHash, "NETWORK_KEY="+networkKey)
	lead := person("lead")
	token := member(t, s.wants(201, "POST", api+"/tokens", `{"name":"t","scopes":["*"]}`, lead, jsonBody), "secret")
	registry := member(t, s.wants(200, "GET", "/v2/token?service=registry&scope=repository:team-a/app:pull,push", "", lead), "token")
	var id string
	for range 50 {
		list := s.wants(200, "GET", api+"/users?q=lead", "", asAdmin)
		if id = firstID(list); id != "" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	shown := map[string]string{"password": lead, "access token": bearer(token), "registry token": bearer(registry)}
	all := func(status func(int) bool) {
		t.Helper()
		for name, credential := range shown {
			if res, answer := s.call(http.MethodPost, "/v2/team-a/app/blobs/uploads/", "", credential); !status(res.StatusCode) {
				t.Errorf("%s: %s %s", name, res.Status, answer)
			}
		}
	}
	all(func(status int) bool { return status < 300 })
	s.wants(200, "POST", api+"/users/"+id+"/disable", "", asAdmin, jsonBody)
	all(func(status int) bool { return status == 401 })
	s.wants(401, "GET", api+"/whoami", "", lead)
	s.wants(401, "GET", api+"/whoami", "", bearer(token))
	s.wants(401, "GET", "/v2/token?service=registry", "", lead)
	s.wants(200, "POST", api+"/users/"+id+"/enable", "", asAdmin, jsonBody)
	all(func(status int) bool { return status < 300 })
}

// TestCallsWithoutABodyTakeAnEmptyObject: many clients send one with everything.
func TestCallsWithoutABodyTakeAnEmptyObject(t *testing.T) {
	s := start(t, credentials, nil, passwordHash, "NETWORK_KEY="+networkKey)
	s.madeRobot("team-a+x", `{}`)
	s.wants(200, "POST", api+"/signing-keys/rotate", `{}`, asAdmin, jsonBody)
	s.wants(204, "DELETE", api+"/robots/team-a+x", ` { } `, asAdmin, jsonBody)
	s.wants(400, "POST", api+"/signing-keys/rotate", `{"x":1}`, asAdmin, jsonBody)
	s.wants(400, "POST", api+"/signing-keys/rotate", `[]`, asAdmin, jsonBody)
}
