package trust

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

const costly = "$2a$16$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// TestNobodyMakesWrongPasswordsCostly: whoever may make robots cannot have each
// wrong password of everybody computed for seconds.
func TestNobodyMakesWrongPasswordsCostly(t *testing.T) {
	s := start(t, `http://ADDR {
	registry_auth {
		management {
			api_key test {env.ADMIN_KEY}
		}
	}
	reverse_proxy UPSTREAM
}`, nil)
	hashes := strings.Repeat(`,"`+costly+`"`, 8)[1:]
	answer := s.wants(422, "POST", "/auth/api/v1/import", `{"version":1,"robots":[{"name":"dear","secret_hashes":[`+hashes+`]}]}`, bearer(adminKey), jsonBody)
	if !strings.Contains(answer, "together") {
		t.Error("the answer does not say why:", answer)
	}
	began := time.Now()
	s.wants(401, "GET", "/v2/", "", basic("robot$nobody", "wrong"))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a wrong password takes %s", took)
	}
}

// TestRobotNamesCannotBeToldByTime compares a robot's name with one that nobody
// has, where people have passwords.
func TestRobotNamesCannotBeToldByTime(t *testing.T) {
	_, hash := stage.NewSecret()
	s := start(t, `http://ADDR {
	registry_auth {
		robot ci {
			secret_hash {env.CI_HASH}
		}
		local {
			user alice {env.PASSWORD}
		}
	}
	reverse_proxy UPSTREAM
}`, nil, "CI_HASH="+hash, "PASSWORD="+stage.LocalHash)
	took := map[string][]time.Duration{}
	for i := range 7 {
		for _, name := range []string{"ci", "robot-ci", "robot-nobody", "nobody"} {
			began := time.Now()
			s.wants(401, "GET", "/v2/", "", basic(name, fmt.Sprint("wrong", i)))
			took[name] = append(took[name], time.Since(began))
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(took[name])
		return took[name][len(took[name])/2]
	}
	for _, pair := range [][2]string{{"ci", "nobody"}, {"robot-ci", "robot-nobody"}} {
		if a, b := median(pair[0]), median(pair[1]); a < b/3 || b < a/3 {
			t.Errorf("%s takes %s, %s %s", pair[0], a, pair[1], b)
		}
	}
}
