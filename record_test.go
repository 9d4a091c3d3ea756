package registryauth_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestAuditLine(t *testing.T) {
	g := startGateway(t, standardRealm)
	g.do("PUT", "/v2/other/app/manifests/v1", "{}", basic("robot$ci", g.robot), header("User-Agent", "docker/28"))
	lines := g.logLines("registry access")
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	for field, want := range map[string]any{
		"decision": "denied", "principal": "robot:ci", "credential": "robot_secret", "authenticator": "robots", "action": "push",
		"repository": "other/app", "reference": "v1", "client_ip": "127.0.0.1", "status": 403.0, "realm": "default", "user_agent": "docker/28",
	} {
		if lines[0][field] != want {
			t.Errorf("%s: %v, want %v", field, lines[0][field], want)
		}
	}
	for _, field := range []string{"reason", "request_id", "credential_id"} {
		if lines[0][field] == "" || lines[0][field] == nil {
			t.Errorf("%s is missing", field)
		}
	}
}

func TestSecretsAreNeverLogged(t *testing.T) {
	g := startGateway(t, standardRealm)
	token := g.token("repository:team/app:pull", basic("robot$ci", g.robot))
	g.do("GET", manifest, "", bearer(token))
	g.do("GET", manifest, "", bearer(token+"x"))
	g.do("GET", manifest, "", basic("robot$ci", "guess-"+g.robot))
	g.do("POST", "/v2/token", "grant_type=password&username=robot-ci&service=registry.test&password="+g.robot, header("Content-Type", "application/x-www-form-urlencoded"))
	g.do("GET", "/v2/token?password="+g.robot, "")
	data, err := os.ReadFile(g.logs)
	if err != nil {
		t.Fatal(err)
	}
	signature := token[strings.LastIndexByte(token, '.')+1:]
	for name, secret := range map[string]string{"robot secret": g.robot, "token": signature, "hash": g.hash} {
		if strings.Contains(string(data), secret) {
			t.Errorf("the log has the %s", name)
		}
	}
}

func TestAuditLevels(t *testing.T) {
	for level, want := range map[string]int{"all": 3, "changes": 2, "refusals": 1} {
		g := startGateway(t, standardRealm+"audit "+level+"\n")
		g.do("GET", manifest, "", basic("robot$ci", g.robot))
		g.do("PUT", manifest, "{}", basic("robot$ci", g.robot))
		g.do("GET", manifest, "")
		if got := len(g.logLines("registry access")); got != want {
			t.Errorf("audit %s: %d lines, want %d", level, got, want)
		}
	}
}

func TestMetricsSurviveReload(t *testing.T) {
	g := startGateway(t, standardRealm)
	before := allowedPulls(t)
	g.do("GET", manifest, "", basic("robot$ci", g.robot))
	g.load(standardRealm + "explain_denials\n")
	g.do("GET", manifest, "", basic("robot$ci", g.robot))
	if got := allowedPulls(t) - before; got != 2 {
		t.Errorf("counted %v, want 2", got)
	}
}

// allowedPulls is how often the metrics have an allowed pull.
func allowedPulls(t *testing.T) float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "caddy_registry_auth_decisions_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if labels := fmt.Sprint(metric.GetLabel()); strings.Contains(labels, `"allowed"`) && strings.Contains(labels, `"pull"`) && strings.Contains(labels, `"default"`) {
				return metric.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("no such metric")
	return 0
}

func TestExplainDenials(t *testing.T) {
	g := startGateway(t, standardRealm)
	robot := basic("robot$ci", g.robot)
	if a := g.do("GET", "/v2/other/app/manifests/v1", "", robot); strings.Contains(a.body, "grants") {
		t.Errorf("the reason reached the client: %s", a.body)
	}
	g.load(standardRealm + "explain_denials\n")
	if a := g.do("GET", "/v2/other/app/manifests/v1", "", robot); !strings.Contains(a.body, "nothing grants pull on other/app:v1 to robot:ci") {
		t.Errorf("no reason: %s", a.body)
	}
}
