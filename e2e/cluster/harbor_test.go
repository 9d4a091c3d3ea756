package cluster

import (
	"encoding/json"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// harborCalls are what scripts for Harbor do, with the JSON of its documented
// API; each line prints the answer.
const harborCalls = `
harbor() { curl -sSf -u "admin:$ADMIN_KEY" -H 'Content-Type: application/json' "$@"; }
curl -sSf "$URL/api/v2.0/systeminfo" | jq -e .registry_url >/dev/null
harbor "$URL/api/v2.0/configurations" | jq -e .robot_name_prefix.value >/dev/null
harbor "$URL/api/v2.0/robots" -d '{
	"name": "builder", "description": "builds", "duration": 30, "level": "system", "disable": false,
	"permissions": [{"kind": "project", "namespace": "team", "access": [
		{"resource": "repository", "action": "pull"},
		{"resource": "repository", "action": "push"}
	]}]
}' >made
id=$(jq -r .id made)
harbor "$URL/api/v2.0/robots?page=1&page_size=10" | jq -e ".[] | select(.id == $id)" >/dev/null
harbor "$URL/api/v2.0/robots/$id" >robot
jq -e '.editable and .duration == 30 and .level == "system" and .permissions[0].namespace == "team"' robot >/dev/null
jq '.description = "builds more"' robot | harbor -X PUT "$URL/api/v2.0/robots/$id" -d @-
harbor -X PATCH "$URL/api/v2.0/robots/$id" -d '{"secret": ""}' >refreshed
jq -s '{name: .[0].name, old: .[0].secret, fresh: .[1].secret, id: .[0].id}' made refreshed
`

// TestHarbor makes a robot as scripts for Harbor do; then it is a robot like
// any other.
func TestHarbor(t *testing.T) {
	process.Need(t, "curl", "jq", "skopeo")
	n := configure(t, "", registry(t).URL, withKey)
	n.start(t)
	s := &script{t: t, dir: t.TempDir(), env: []string{"URL=" + n.URL, "ADMIN_KEY=" + adminKey}}
	var made struct {
		Name, Old, Fresh string
		ID               json.Number
	}
	if err := json.Unmarshal([]byte(s.run(harborCalls)), &made); err != nil {
		t.Fatal(err)
	}
	n.want(t, "the secret of the creation, after it was refreshed", stage.Basic(made.Name, made.Old), 401)
	n.want(t, "the refreshed secret", stage.Basic(made.Name, made.Fresh), 200)
	n.want(t, "its token", n.token(t, stage.Basic(made.Name, made.Fresh)), 200)
	tool(t, made.Fresh, "skopeo", "login", "--tls-verify=false", "--username", made.Name, "--password-stdin", n.Addr)
	tool(t, "", "skopeo", "inspect", "--tls-verify=false", "docker://"+n.Addr+"/team/app:x")
	if robot := n.api(t, "GET", "/robots/builder", "", 200); robot["description"] != "builds more" {
		t.Errorf("as the own API shows it: %v", robot)
	}
	s.env = append(s.env, "ID="+made.ID.String())
	s.run(`curl -sSf -u "admin:$ADMIN_KEY" -X DELETE "$URL/api/v2.0/robots/$ID"`)
	n.want(t, "the robot that was deleted", stage.Basic(made.Name, made.Fresh), 401)
}
