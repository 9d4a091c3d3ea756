package trust

import (
	"strings"
	"testing"
)

const explained = `http://ADDR {
	registry_auth {
		local {
			user lead {env.PASSWORD}
			user worker {env.PASSWORD}
		}
		admin user:secret-boss
		project team-a/** {
			name team-a
			project_admin user:lead
			guest user:worker user:colleague
		}
		project hidden/** {
			name hidden-project
			developer user:hidden-person group:hidden-group
		}
		management {
			api_key test {env.ADMIN_KEY}
		}
	}
	reverse_proxy UPSTREAM
}`

// TestExplainNamesNobodyWhomTheAskerMayNotSee: who asks about themselves learns
// the decision and the rules that are about them, and nothing of others.
func TestExplainNamesNobodyWhomTheAskerMayNotSee(t *testing.T) {
	s := start(t, explained, nil, passwordHash)
	others := []string{"secret-boss", "hidden-person", "hidden-group", "hidden-project", "colleague", "Caddyfile", "user:lead"}
	for _, path := range []string{"hidden/app&action=pull", "team-a/app&action=push", "team-a/app&action=pull", "none/app&action=push"} {
		answer := s.wants(200, "GET", api+"/explain?principal=user:worker&repository="+path, "", person("worker"))
		mustNotBeTold(t, answer, others...)
	}
	// A repository that they may see is explained by what they have there.
	if answer := s.wants(200, "GET", api+"/explain?principal=user:worker&repository=team-a/app&action=pull", "", person("worker")); !strings.Contains(answer, "guest") || !strings.Contains(answer, `"allowed":true`) {
		t.Errorf("own rights: %s", answer)
	}
	// Who manages the repository sees who has what there, and no administrators
	// or other projects.
	answer := s.wants(200, "GET", api+"/explain?principal=user:worker&repository=team-a/app&action=push", "", person("lead"))
	mustNotBeTold(t, answer, "hidden")
	if !strings.Contains(answer, "user:lead") {
		t.Errorf("to who manages it: %s", answer)
	}
	s.wants(403, "GET", api+"/explain?principal=user:worker&repository=hidden/app&action=push", "", person("lead"))
	s.wants(403, "GET", api+"/who-can?repository=hidden/app&action=push", "", person("lead"))
	if answer := s.wants(200, "GET", api+"/explain?principal=user:worker&repository=hidden/app&action=push", "", asAdmin); !strings.Contains(answer, "secret-boss") {
		t.Errorf("to an administrator: %s", answer)
	}
}
