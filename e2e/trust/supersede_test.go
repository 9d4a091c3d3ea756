package trust

import (
	"strings"
	"testing"
)

const (
	serviceSecret = "the-secret-of-a-companion-service-0123456789"
	otherKey      = "a-key-of-the-configuration-that-came-later-01"
)

// sites is a Caddyfile with lines of the realm's own.
func sites(lines string) string {
	return `http://ADDR {
	registry_auth {
		local {
			user lead {env.PASSWORD}
		}
		project team-a/** {
			developer robot:mv
			developer robot:scan
			developer robot:wl
		}
		management {
			api_key test {env.ADMIN_KEY}
			harbor_robots
			` + strings.TrimSpace(lines) + `
	}
	reverse_proxy UPSTREAM
}`
}

// TestDeclaredRobotReplacesAStoredOne: from the reload on, nothing of the stored
// robot is left: neither its secret nor its permissions; and it can be deleted.
func TestDeclaredRobotReplacesAStoredOne(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash)
	secret := s.madeRobot("mv", `{"permissions":[{"name":"other/**","actions":["push"]}]}`)
	if !s.may(bearer(secret), "team-a/app") || !s.may(bearer(secret), "other/app") {
		t.Fatal("the robot does not work")
	}
	declared, stored := newRobotSecret(t)
	s.reload(sites(`}
		robot mv {
			secret_hash ` + stored + `
		}`))
	s.wants(401, "POST", "/v2/team-a/app/blobs/uploads/", "", bearer(secret))
	s.wants(401, "POST", "/v2/team-a/app/blobs/uploads/", "", basic("robot$mv", secret))
	s.wants(401, "GET", api+"/whoami", "", bearer(secret))
	if !s.may(bearer(declared), "team-a/app") {
		t.Error("the declared robot does not have its rights")
	}
	if s.may(bearer(declared), "other/app") {
		t.Error("the declared robot has the permissions of the stored one")
	}
	s.seenAndDeleted("mv", 2)
}

// seenAndDeleted holds the scene to showing a stored robot that is superseded,
// among so many of that name, and to deleting it.
func (s *scene) seenAndDeleted(name string, shown int) {
	s.t.Helper()
	list := s.wants(200, "GET", api+"/robots?q="+name, "", asAdmin)
	if n := strings.Count(list, `"name":"`+name+`"`); n != shown || !strings.Contains(list, `"superseded_by":`) {
		s.t.Errorf("%d robots are listed, want %d, one of them superseded: %s", n, shown, list)
	}
	if health := s.wants(200, "GET", api+"/health", ""); !strings.Contains(health, `"superseded":1`) {
		s.t.Errorf("health: %s", health)
	}
	if !strings.Contains(strings.Join(s.Log.Tail(1000), "\n"), "the configuration supersedes") {
		s.t.Error("no warning")
	}
	s.wants(409, "POST", api+"/robots/"+name+"/rotate", `{}`, asAdmin, jsonBody)
	s.wants(204, "DELETE", api+"/robots/"+name, "", asAdmin)
	if health := s.wants(200, "GET", api+"/health", ""); strings.Contains(health, "superseded") {
		s.t.Errorf("health after it was deleted: %s", health)
	}
}

func TestServiceReplacesAStoredRobot(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash, "SERVICE_SECRET="+serviceSecret)
	secret := s.madeRobot("scan", `{"permissions":[{"name":"other/**","actions":["push"]}]}`)
	s.reload(sites(`}
		service_secret scan {
			secret {env.SERVICE_SECRET}
			from 127.0.0.0/8
		}`))
	s.wants(401, "POST", "/v2/team-a/app/blobs/uploads/", "", bearer(secret))
	service := "Authorization: Registry-Secret " + serviceSecret
	if !s.may(service, "team-a/app") || s.may(service, "other/app") {
		t.Error("the service has other rights than its own")
	}
	s.seenAndDeleted("scan", 1)
}

func TestWorkloadReplacesAStoredRobot(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash)
	secret := s.madeRobot("wl", `{"permissions":[{"name":"other/**","actions":["push"]}]}`)
	s.reload(sites(`}
		workload job https://issuer.example.com {
			audience registry.example.com
			require repository_owner acme
			as robot:wl
			jwks "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}"
		}`))
	s.wants(401, "POST", "/v2/team-a/app/blobs/uploads/", "", bearer(secret))
	s.seenAndDeleted("wl", 1)
}

// TestLocalUserIsNotTakenForARobot: a robot of a user's name would keep the user
// from logging in.
func TestLocalUserIsNotTakenForARobot(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash)
	s.wants(409, "PUT", api+"/robots/lead", `{"secret":"Chosen-Secret-1"}`, asAdmin, jsonBody)
	s.madeRobot("late", `{"secret":"Chosen-Secret-1"}`)
	s.reload(strings.Replace(sites("}"), "user lead", "user late {env.PASSWORD}\n\t\t\tuser lead", 1))
	s.wants(200, "GET", "/v2/", "", person("late"))
	s.wants(401, "GET", "/v2/", "", basic("robot$late", "Chosen-Secret-1"))
	s.seenAndDeleted("late", 1)
}

func TestDeclaredProjectReplacesAStoredOne(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash)
	s.wants(201, "PUT", api+"/projects/later", `{"patterns":["stored/**"],"members":[{"subject":"user:lead","role":"developer"}]}`, asAdmin, jsonBody)
	if !s.may(person("lead"), "stored/app") {
		t.Fatal("the project does not work")
	}
	s.reload(sites(`}
		project declared/** {
			name later
			guest user:lead
		}`))
	if s.may(person("lead"), "stored/app") {
		t.Error("the stored project is in force")
	}
	list := s.wants(200, "GET", api+"/projects", "", asAdmin)
	if strings.Count(list, `"name":"later"`) != 2 || !strings.Contains(list, `"superseded_by":`) {
		t.Errorf("projects: %s", list)
	}
	s.wants(409, "PUT", api+"/projects/later/members/user:lead", `{"role":"developer"}`, asAdmin, jsonBody)
	s.wants(204, "DELETE", api+"/projects/later", "", asAdmin)
	s.wants(409, "DELETE", api+"/projects/later", "", asAdmin)
}

func TestDeclaredKeyReplacesAStoredOne(t *testing.T) {
	s := start(t, sites("}"), nil, passwordHash, "OTHER_KEY="+otherKey)
	made := s.wants(201, "POST", api+"/keys", `{"name":"later","scopes":["*"]}`, asAdmin, jsonBody)
	secret, id := member(t, made, "secret"), member(t, made, "id")
	s.wants(200, "GET", api+"/keys", "", bearer(secret))
	s.reload(sites(`api_key later {env.OTHER_KEY} robots:read
		}`))
	s.wants(401, "GET", api+"/keys", "", bearer(secret))
	if list := s.wants(200, "GET", api+"/keys", "", asAdmin); !strings.Contains(list, `"superseded_by":`) {
		t.Errorf("keys: %s", list)
	}
	s.wants(204, "DELETE", api+"/keys/"+id, "", asAdmin)
}
