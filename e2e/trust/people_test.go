package trust

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// The people of the scenes that have some: `user <name> {env.PASSWORD}` in a
// local block, all with the same password.
const (
	password     = "the-password-of-the-local-alice"
	passwordHash = "PASSWORD=$argon2id$v=19$m=19456,t=2,p=1$L5ZwZHCxNdm2A3uNQUDL7A$HxcYpga6GJeZhuX9HGPNpQnP4BdoEHPQ/0pslXy9nY4"
)

// person is the header of somebody of them, who is no browser.
func person(name string) string { return basic(name, password) }

const api = "/auth/api/v1"

// asAdmin is the administrators' key.
var asAdmin = bearer(adminKey)

// member returns a member of an answer's object as text.
func member(t *testing.T, answer, name string) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(answer), &o); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	text, _ := o[name].(string)
	return text
}

// madeRobot makes a robot as an administrator and returns its secret.
func (s *scene) madeRobot(name, body string) string {
	s.t.Helper()
	return member(s.t, s.wants(201, "PUT", api+"/robots/"+name, body, asAdmin, jsonBody), "secret")
}

// may says whether a credential may upload to a repository.
func (s *scene) may(credential, repository string) bool {
	s.t.Helper()
	res, _ := s.call("POST", "/v2/"+repository+"/blobs/uploads/", "", credential)
	return res.StatusCode < 300
}

// mustNotBeTold fails if an answer has one of some words.
func mustNotBeTold(t *testing.T, answer string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(answer, w) {
			t.Errorf("%q is told: %s", w, answer)
		}
	}
}

// firstID is the id of the first thing of a list, "" if there is none.
func firstID(list string) string {
	var page struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if json.Unmarshal([]byte(list), &page) != nil || len(page.Items) == 0 {
		return ""
	}
	return page.Items[0].ID
}

// newRobotSecret makes the secret of a robot and its stored form.
func newRobotSecret(t *testing.T) (secret, stored string) {
	t.Helper()
	return stage.NewSecret()
}
