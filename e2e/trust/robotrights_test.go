package trust

import (
	"net/http"
	"strings"
	"testing"
)

// A project's administrator manages robots whose names have rights elsewhere:
// by a rule, a role mapping, a membership, or as an owner.
const robotRights = `http://ADDR {
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
		project other/** {
			name other
			developer robot:team-a+rule
			developer robot:team-a+conf {
				from 127.0.0.0/8
			}
		}
		project shared/** {
			name shared
			project_admin user:lead
			developer robot:team-a+held
			guest authenticated
			developer authenticated {
				from 127.0.0.0/8
			}
			deny delete authenticated {
				between 00:00-23:59
			}
		}
		owner_only repository owned/**
		project owned/** {
			name owned
			developer authenticated
		}
		management {
			api_key test {env.ADMIN_KEY}
			api_key robots-only {env.ROBOTS_KEY} robots:write
			harbor_robots
		}
	}
	handle /ui/* {
		registry_identity {
			admin robot:team-a+ui
		}
		reverse_proxy UPSTREAM
	}
	handle {
		reverse_proxy UPSTREAM
	}
}`

const robotsKey = "key-that-is-good-for-robots-only-and-nothing-else"

func startRobotRights(t *testing.T) *scene {
	t.Helper()
	return start(t, robotRights, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
	}, passwordHash, "ROBOTS_KEY="+robotsKey)
}

func TestRotatingARobotNeedsItsRights(t *testing.T) {
	s := startRobotRights(t)
	lead := person("lead")
	s.madeRobot("team-a+rule", `{}`)
	s.madeRobot("team-a+mapped", `{}`)
	s.madeRobot("team-a+member", `{}`)
	s.madeRobot("team-a+plain", `{"permissions":[{"name":"team-a/**","actions":["push"]}]}`)
	owner := s.madeRobot("team-a+owner", `{}`)
	s.wants(201, "PUT", api+"/role-mappings/robot:team-a+mapped", `{"role":"developer","patterns":["other/**"]}`, asAdmin, jsonBody)
	s.wants(201, "PUT", api+"/projects/stored", `{"patterns":["stored/**"]}`, asAdmin, jsonBody)
	s.wants(201, "PUT", api+"/projects/stored/members/robot:team-a+member", `{"role":"developer"}`, asAdmin, jsonBody)
	s.wants(201, "PUT", "/v2/owned/app/manifests/v1", `{"schemaVersion":2}`, basic("team-a+owner", owner), "Content-Type: application/vnd.oci.image.manifest.v1+json")

	for _, name := range []string{"rule", "mapped", "member", "owner"} {
		path := api + "/robots/team-a+" + name
		s.wants(403, "POST", path+"/rotate", `{}`, lead, jsonBody)
		s.wants(403, "PATCH", path, `{"secret":"Chosen-Secret-1"}`, lead, jsonBody)
		s.wants(403, "PUT", path, `{"secret":"Chosen-Secret-1"}`, lead, jsonBody)
		number := s.harborID("team-a+" + name)
		s.wants(403, "PATCH", "/api/v2.0/robots/"+number, `{"secret":"Chosen-Secret-1"}`, lead, jsonBody)
		// Keeping it out gives nothing away; letting it in again does.
		s.wants(200, "PATCH", path, `{"disabled":true}`, lead, jsonBody)
		s.wants(403, "PATCH", path, `{"disabled":false}`, lead, jsonBody)
		// Whoever may do everything may do this.
		s.wants(200, "PATCH", path, `{"disabled":false}`, person("boss"), jsonBody)
		s.wants(200, "POST", path+"/rotate", `{}`, asAdmin, jsonBody)
	}
	s.wants(200, "POST", api+"/robots/team-a+plain/rotate", `{}`, lead, jsonBody)
}

// harborID is the number of a robot in Harbor's calls.
func (s *scene) harborID(name string) string {
	s.t.Helper()
	answer := s.wants(200, "GET", api+"/robots/"+name, "", asAdmin)
	_, rest, _ := strings.Cut(answer, `"number":`)
	number, _, _ := strings.Cut(rest, ",")
	return number
}

func TestMakingARobotNeedsTheRightsOfItsName(t *testing.T) {
	s := startRobotRights(t)
	lead := person("lead")
	for _, name := range []string{"rule", "conf", "ui"} {
		s.wants(403, "POST", api+"/robots", `{"name":"team-a+`+name+`"}`, lead, jsonBody)
		s.wants(403, "PUT", api+"/robots/team-a+"+name, `{}`, lead, jsonBody)
		s.wants(403, "POST", "/api/v2.0/robots", `{"name":"`+name+`","level":"project","duration":-1,"permissions":[
			{"kind":"project","namespace":"team-a","access":[{"resource":"repository","action":"pull"}]}]}`, lead, jsonBody)
	}
	// What everybody has whom the rule names, its maker has as well; and what
	// the name gets where the maker may do it too is no more than that.
	s.wants(201, "PUT", api+"/robots/team-a+free", `{}`, lead, jsonBody)
	s.wants(201, "PUT", api+"/robots/team-a+held", `{}`, lead, jsonBody)
}

func TestWhatARobotHadEndsWithIt(t *testing.T) {
	s := startRobotRights(t)
	lead := person("lead")
	secret := s.madeRobot("team-a+gone", `{"permissions":[{"name":"team-a/**","actions":["push"]}]}`)
	s.wants(201, "PUT", api+"/role-mappings/robot:team-a+gone", `{"role":"developer","patterns":["other/**"]}`, asAdmin, jsonBody)
	s.wants(201, "PUT", api+"/projects/stored", `{"patterns":["stored/**"],"members":[{"subject":"robot:team-a+gone","role":"developer"},{"subject":"user:boss","role":"guest"}]}`, asAdmin, jsonBody)
	s.wants(201, "PUT", "/v2/owned/gone/manifests/v1", `{"schemaVersion":2}`, basic("team-a+gone", secret), "Content-Type: application/vnd.oci.image.manifest.v1+json")
	s.wants(200, "GET", api+"/owners/owned%2Fgone", "", asAdmin)
	if !s.may(basic("team-a+gone", secret), "other/app") || !s.may(basic("team-a+gone", secret), "stored/app") {
		t.Fatal("the robot does not have what it was given")
	}
	s.wants(204, "DELETE", api+"/robots/team-a+gone", "", lead)
	s.wants(404, "GET", api+"/role-mappings/robot:team-a+gone", "", asAdmin)
	s.wants(404, "GET", api+"/owners/owned%2Fgone", "", asAdmin)
	if project := s.wants(200, "GET", api+"/projects/stored", "", asAdmin); strings.Contains(project, "gone") || !strings.Contains(project, "user:boss") {
		t.Errorf("members: %s", project)
	}
	// So the next robot of that name has nothing of it.
	again := member(t, s.wants(201, "PUT", api+"/robots/team-a+gone", `{}`, lead, jsonBody), "secret")
	for _, repository := range []string{"other/app", "stored/app"} {
		if s.may(basic("team-a+gone", again), repository) {
			t.Errorf("a new robot may push to %s", repository)
		}
	}
}

// TestAKeyForRobotsMakesNoAdministrator: a key of the API is bounded by its
// scopes, also by way of what it makes.
func TestAKeyForRobotsMakesNoAdministrator(t *testing.T) {
	s := startRobotRights(t)
	key := bearer(robotsKey)
	s.wants(201, "PUT", api+"/role-mappings/robot:root", `{"role":"admin"}`, asAdmin, jsonBody)
	s.wants(403, "PUT", api+"/robots/root", `{}`, key, jsonBody)
	s.madeRobot("root", `{}`)
	s.wants(403, "POST", api+"/robots/root/rotate", `{}`, key, jsonBody)
	s.wants(403, "PUT", api+"/robots/team-a+manager", `{"permissions":[{"name":"team-a/**","actions":["manage"]}]}`, key, jsonBody)
	s.wants(201, "PUT", api+"/robots/team-a+pusher", `{"permissions":[{"name":"team-a/**","actions":["push"]}]}`, key, jsonBody)
}
