package trust

import (
	"fmt"
	"testing"
	"time"
)

const bounded = `http://ADDR {
	registry_auth {
		local {
			user boss {env.PASSWORD}
			user office {env.PASSWORD}
			user night {env.PASSWORD}
			user lead {env.PASSWORD}
		}
		admin user:boss
		admin user:office {
			from 127.0.0.0/8
			until 2099-12-31
		}
		admin user:night {
			between 00:00-24:00
		}
		project team-a/** {
			name team-a
			project_admin user:lead
		}
		management {
			api_key test {env.ADMIN_KEY}
			api_key networked {env.NETWORK_KEY} {
				from 127.0.0.0/8
			}
			harbor_robots
			token_max_lifetime never
		}
	}
	reverse_proxy UPSTREAM
}`

const networkKey = "a-key-that-is-good-from-this-machine-only-012"

// TestWhatACredentialMakesIsBoundedAsItIs: whatever is bounded in time or to a
// network makes nothing that is not, by any path.
func TestWhatACredentialMakesIsBoundedAsItIs(t *testing.T) {
	s := start(t, bounded, nil, passwordHash, "NETWORK_KEY="+networkKey)
	soon := time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339)
	inside := fmt.Sprintf(`"expires":%q,"from":["127.0.0.1"]`, soon)
	shown := fmt.Sprintf(`"expires":%q,"from":["127.0.0.0/8"]`, soon)

	token := member(t, s.wants(201, "POST", api+"/tokens", `{"name":"short","scopes":["*"],`+shown+`}`, person("boss"), jsonBody), "secret")
	key := member(t, s.wants(201, "POST", api+"/keys", `{"name":"short","scopes":["*"],`+shown+`}`, asAdmin, jsonBody), "secret")
	robot := s.madeRobot("team-a+maker", `{`+shown+`,"permissions":[{"name":"team-a/**","actions":["pull","manage"]}]}`)
	s.madeRobot("team-a+wide", `{"permissions":[{"name":"team-a/**","actions":["pull"]}]}`)

	for who, secret := range map[string]string{"token": token, "key": key, "robot": robot} {
		as := bearer(secret)
		s.wants(403, "POST", api+"/robots", `{"name":"team-a+endless-`+who+`"}`, as, jsonBody)
		s.wants(403, "PUT", api+"/robots/team-a+endless-"+who, fmt.Sprintf(`{"expires":%q}`, soon), as, jsonBody)
		s.wants(403, "PUT", api+"/robots/team-a+endless-"+who, fmt.Sprintf(`{"expires":%q,"from":["0.0.0.0/0"]}`, soon), as, jsonBody)
		s.wants(403, "PATCH", api+"/robots/team-a+wide", `{"permissions":[]}`, as, jsonBody)
		s.wants(403, "POST", api+"/robots/team-a+wide/rotate", `{}`, as, jsonBody)
		s.wants(403, "POST", "/api/v2.0/robots", `{"name":"harbor-`+who+`","level":"project","duration":-1,"permissions":[
			{"kind":"project","namespace":"team-a","access":[{"resource":"repository","action":"pull"}]}]}`, as, jsonBody)
		s.wants(403, "PATCH", "/api/v2.0/robots/"+s.harborID("team-a+wide"), `{}`, as, jsonBody)
		s.wants(201, "PUT", api+"/robots/team-a+ends-"+who, `{`+inside+`}`, as, jsonBody)
		s.wants(403, "PATCH", api+"/robots/team-a+ends-"+who, `{"expires":null}`, as, jsonBody)
		s.wants(403, "PATCH", api+"/robots/team-a+ends-"+who, `{"from":null}`, as, jsonBody)
		s.wants(200, "POST", api+"/robots/team-a+ends-"+who+"/rotate", `{}`, as, jsonBody)
		// Keeping something out is always in order.
		s.wants(200, "PATCH", api+"/robots/team-a+wide", `{"disabled":true}`, as, jsonBody)
		s.wants(403, "PATCH", api+"/robots/team-a+wide", `{"disabled":false}`, as, jsonBody)
		s.wants(200, "PATCH", api+"/robots/team-a+wide", `{"disabled":false}`, asAdmin, jsonBody)
	}
	_, hash := newRobotSecret(t)
	for _, secret := range []string{token, key} {
		s.wants(422, "POST", api+"/import", `{"version":1,"robots":[{"name":"imported"}]}`, bearer(secret), jsonBody)
		s.wants(422, "POST", api+"/import", `{"version":1,"robots":[{"name":"team-a+wide","permissions":[{"name":"team-a/**","actions":["pull"]}],"secret_hashes":["`+hash+`"]}]}`, bearer(secret), jsonBody)
		s.wants(403, "POST", api+"/keys", `{"name":"endless","scopes":["*"]}`, bearer(secret), jsonBody)
	}
	s.wants(403, "POST", api+"/robots", `{"name":"networked"}`, bearer(networkKey), jsonBody)
	s.wants(201, "POST", api+"/robots", `{"name":"networked","from":["127.0.0.1"]}`, bearer(networkKey), jsonBody)
}

// TestARobotDoesNotWidenItself: who may manage its project may not lift what
// bounds it.
func TestARobotDoesNotWidenItself(t *testing.T) {
	s := start(t, bounded, nil, passwordHash, "NETWORK_KEY="+networkKey)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	robot := bearer(s.madeRobot("team-a+self", fmt.Sprintf(`{"expires":%q,"from":["127.0.0.0/8"],"permissions":[{"name":"team-a/**","actions":["pull","manage"]}]}`, soon)))
	path := api + "/robots/team-a+self"
	s.wants(403, "PATCH", path, `{"expires":null}`, robot, jsonBody)
	s.wants(403, "PATCH", path, `{"from":null}`, robot, jsonBody)
	s.wants(403, "PATCH", path, `{"permissions":[{"name":"team-a/**","actions":["push"]}]}`, robot, jsonBody)
	s.wants(200, "PATCH", path, `{"from":["127.0.0.1"]}`, robot, jsonBody)
	s.wants(200, "POST", path+"/rotate", `{}`, robot, jsonBody)
}

// TestConditionsOfAnAdministratorAreHandedOn: what one makes who is an
// administrator under conditions is under these conditions.
func TestConditionsOfAnAdministratorAreHandedOn(t *testing.T) {
	s := start(t, bounded, nil, passwordHash, "NETWORK_KEY="+networkKey)
	office, night := person("office"), person("night")
	within := `"from":["127.0.0.1"],"expires":"2099-01-01T00:00:00Z"`
	s.wants(403, "POST", api+"/keys", `{"name":"a","scopes":["*"]}`, office, jsonBody)
	s.wants(403, "POST", api+"/keys", `{"name":"a","scopes":["*"],"from":["127.0.0.1"]}`, office, jsonBody)
	s.wants(403, "POST", api+"/robots", `{"name":"a"}`, office, jsonBody)
	s.wants(201, "POST", api+"/keys", `{"name":"a","scopes":["*"],`+within+`}`, office, jsonBody)
	s.wants(201, "POST", api+"/robots", `{"name":"a",`+within+`}`, office, jsonBody)
	// Keys and robots know no hours.
	s.wants(403, "POST", api+"/keys", `{"name":"b","scopes":["*"],`+within+`}`, night, jsonBody)
	s.wants(403, "POST", api+"/robots", `{"name":"b",`+within+`}`, night, jsonBody)
	// Nobody becomes an administrator without conditions by a mapping.
	for _, as := range []string{office, night} {
		s.wants(403, "POST", api+"/role-mappings", `{"principal":"user:office","role":"admin"}`, as, jsonBody)
		s.wants(422, "POST", api+"/import", `{"version":1,"role_mappings":[{"principal":"user:boss2","role":"admin"}]}`, as, jsonBody)
	}
	// Access tokens are decided about with their owner's conditions, each time.
	s.wants(201, "POST", api+"/tokens", `{"name":"t","scopes":["*"]}`, office, jsonBody)
}
