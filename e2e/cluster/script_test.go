package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/engine"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// provision is what Terraform and Ansible do, in shell: wait, bootstrap, make
// the key that lasts, a project and a robot. It may run as often as one likes.
const provision = `
api=$URL/auth/api/v1
json='Content-Type: application/json'
until status=$(curl -s -o /dev/null -w '%{http_code}' "$api/bootstrap") && [ "$status" != 503 ]; do
	sleep 0.2
done
if [ "$status" = 204 ]; then
	first=$(printf '{"secret":"%s"}' "$BOOTSTRAP_SECRET" | curl -sf "$api/bootstrap" -H "$json" -d @- | jq -r .key)
	curl -sf "$api/keys" -H "Authorization: Bearer $first" -H "$json" -d '{"name":"script","scopes":["*"]}' | jq -r .secret >admin-key
	# The key of bootstrap has ended with that.
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$api/whoami" -H "Authorization: Bearer $first")" = 401 ]
fi
auth="Authorization: Bearer $(cat admin-key)"
curl -sf -o /dev/null -X PUT "$api/projects/team" -H "$auth" -H "$json" -d '{"patterns":["team/**"]}'
curl -sf -X PUT "$api/robots/team+ci" -H "$auth" -H "$json" \
	-d '{"permissions":[{"name":"team/**","actions":["pull","push"]}]}' | jq -r '.secret // empty' >secret.new
[ ! -s secret.new ] || mv secret.new secret
curl -sf "$api/robots/team+ci" -H "$auth" | jq -r '.logins[0]'
`

// rotate gives the robot a new secret and the old one six more seconds.
const rotate = `
curl -sf -X POST "$URL/auth/api/v1/robots/team+ci/rotate" -H "Authorization: Bearer $(cat admin-key)" \
	-H 'Content-Type: application/json' -d '{"overlap_seconds":6}' | jq -r .secret
`

// script runs lines of shell in a folder of its own.
type script struct {
	t   *testing.T
	dir string
	env []string
}

func (s *script) run(lines string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", "-euc", lines)
	cmd.Dir, cmd.Env = s.dir, append(cmd.Environ(), s.env...)
	var wrong strings.Builder
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%v\n%s%s%s", err, lines, out, wrong.String())
	}
	return strings.TrimSpace(string(out))
}

func (s *script) secret() string {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// TestScript is the way from nothing to a robot that pulls, and on to its next
// secret, without a pull that fails.
func TestScript(t *testing.T) {
	process.Need(t, "curl", "jq", "skopeo")
	engine.Need(t)
	const bootstrap = "the-bootstrap-secret-that-a-script-has"
	n := configure(t, "", registry(t).URL, "management {\n bootstrap {\n secret {env.BOOTSTRAP_SECRET}\n }\n }", "BOOTSTRAP_SECRET="+bootstrap)
	s := &script{t: t, dir: t.TempDir(), env: []string{"URL=" + n.URL, "BOOTSTRAP_SECRET=" + bootstrap}}
	n.launch(t) // the script waits for it
	login := s.run(provision)
	if login != "robot$team+ci" {
		t.Errorf("the robot logs in as %q", login)
	}
	old := s.secret()
	if again := s.run(provision); again != login || s.secret() != old {
		t.Errorf("the second run: %q, another secret: %t", again, s.secret() != old)
	}

	e, err := engine.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	docker := func(secret string, args ...string) {
		t.Helper()
		tool(t, secret, append([]string{"docker", "--host", e.DockerHost()}, args...)...)
	}
	docker(old, "login", "--username", login, "--password-stdin", n.Addr)
	docker("", "pull", n.Addr+"/team/app:x")

	// The loop takes the new secret two seconds after there is one.
	pulls := 0
	pull := func(secret string) {
		t.Helper()
		tool(t, "", "skopeo", "inspect", "--tls-verify=false", "--creds", login+":"+secret, "docker://"+n.Addr+"/team/app:x")
		docker("", "pull", n.Addr+"/team/app:x") // with what it has logged in with
		pulls++
	}
	pull(old)
	start := time.Now()
	fresh := s.run(rotate)
	for time.Since(start) < 2*time.Second {
		pull(old)
	}
	docker(fresh, "login", "--username", login, "--password-stdin", n.Addr)
	for time.Since(start) < 3*time.Second {
		pull(fresh)
	}
	if time.Since(start) > 5*time.Second {
		t.Logf("this machine is slow: %s", time.Since(start))
	} else {
		n.want(t, "the old secret in the overlap", stage.Basic(login, old), 200)
	}
	ended := within(t, 8*time.Second, "the old secret ends", func() bool { return n.status(t, stage.Basic(login, old)) == 401 })
	if total := time.Since(start); total < 6*time.Second {
		t.Errorf("the old secret ended after %s", total)
	} else {
		t.Logf("%d pulls; the old secret ended %s after the rotation (waited %s)", pulls, total, ended)
	}
	pull(fresh)
}
