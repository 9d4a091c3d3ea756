package trust

import "testing"

// TestUnknownRobotIsRefused shows the scene at work.
func TestUnknownRobotIsRefused(t *testing.T) {
	s := start(t, `http://ADDR {
	registry_auth {
		management {
			api_key test {env.ADMIN_KEY}
		}
	}
	reverse_proxy UPSTREAM
}`, nil)
	s.wants(401, "GET", "/v2/", "", basic("robot-x", "wrong"))
	if seen := s.Upstream.requests(); len(seen) > 0 {
		t.Errorf("%d requests reached the registry", len(seen))
	}
}
