package registryauth_test

import (
	"strings"
	"testing"
)

// TestNamesOfRobots: rules call robots and companion services alike, so that
// no two may have one name.
func TestNamesOfRobots(t *testing.T) {
	t.Setenv("TEST_SERVICE_SECRET", strings.Repeat("0123456789abcdef", 2))
	t.Setenv("TEST_SERVICE_OTHER", strings.Repeat("fedcba9876543210", 2))
	g := startGateway(t, standardRealm)
	const (
		scanner  = "service_secret scanner {\nsecret {env.TEST_SERVICE_SECRET}\nfrom 127.0.0.1\n}\n"
		user     = "local {\nprefix local-\nuser NAME $2a$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n}\n"
		workload = "workload job http://127.0.0.1:1/b {\naudience a\nrequire sub b\nas robot:scanner\n}\n"
	)
	service := func(name string) string { return strings.Replace(scanner, "scanner", name, 1) }
	for _, tt := range []struct{ name, lines, want string }{
		{"a service", scanner, ""},
		{"a service and a robot", service("ci"), "could not tell them apart"},
		{"two services", scanner + strings.Replace(scanner, "SECRET", "OTHER", 1), "scanner"},
		{"a workload that acts as a robot", strings.Replace(workload, "robot:scanner", "robot:ci", 1), ""},
		{"a workload that acts as a service", scanner + workload, "acts as robot \"scanner\""},
		{"in the other order", workload + scanner, "acts as robot \"scanner\""},
		{"a user who would log in as a robot", strings.Replace(user, "NAME", "ci", 1), "both would log in as ci"},
		{"a user of a service's name", scanner + strings.Replace(user, "NAME", "scanner", 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := g.tryLoad(standardRealm + tt.lines)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
