package clients

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// matrix is the scene of the failure matrix: two gateways before a registry,
// with a realm for each authenticator. The first asks providers; those are one
// for each row, so that rows are played side by side. What the second goes by
// is in its configuration, which it reloads.
type matrix struct {
	t        *testing.T
	dir      string
	registry string
	certs    *authority
	asking   *gateway.Gateway
	declared *gateway.Gateway
	rows     []*row            // of the second gateway
	terms    map[string]string // what changes in their lines
	tail     string            // further sites of the second gateway

	providers []*idp.Certified
	directory *slapd.Server
}

// maxGrowth is by how much a gateway may grow that is shown 1 MB again and
// again, in bytes.
const maxGrowth = 48 << 20

var (
	robotSecret, robotStored = stage.NewSecret()
	aRobot                   = visitor{user: "robot-ci", secret: robotSecret}
	megabyte                 = strings.Repeat("x", 1<<20)
)

// TestFailureMatrix plays all cells of failureMatrix.
func TestFailureMatrix(t *testing.T) {
	process.Need(t, upstream.Distribution2.Program, "node", "npm", "skopeo", "curl", "htpasswd", "ldapadd")
	needSlapd(t)
	needEngines(t)
	m := newMatrix(t)
	asking := []*row{m.oidc(), m.workload(), m.basicExchange(), m.ldap(), m.htpasswd(), m.external(), m.tokenReview()}
	m.rows = []*row{m.local(), m.robots(), m.serviceSecret(), m.mtls(), m.trustedHeaders()}
	m.asking = m.start(asking, "")
	m.declared = m.start(m.rows, m.tail)

	all := map[string]*row{}
	for _, r := range append(asking, m.rows...) {
		all[r.name] = r
	}
	for name := range failureMatrix {
		if all[name] == nil {
			t.Fatalf("nobody plays %s", name)
		}
	}
	m.greet(all)
	m.huge("asking", asking, m.asking)
	m.huge("declared", m.rows, m.declared)
	t.Run("rows", func(t *testing.T) { m.playAll(t, asking) })
}

// playAll plays the rows of the first gateway side by side, whatever -parallel
// is, for they wait most of the time; and those of the second one by one.
func (m *matrix) playAll(t *testing.T, asking []*row) {
	var rows sync.WaitGroup
	defer rows.Wait()
	for _, r := range asking {
		rows.Go(func() {
			t.Run(r.name, func(t *testing.T) { r.play(t, failures...) })
		})
	}
	for _, r := range m.rows {
		t.Run(r.name, func(t *testing.T) { r.play(t, failures...) })
	}
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{t: t, dir: t.TempDir(), certs: newAuthority(t), terms: map[string]string{"%SERVICE%": stage.Service}}
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, t.TempDir(), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	m.registry = registry.URL
	m.startCounterparts()
	image, err := upstream.NewImage(contentFile, []byte("matrix"))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&upstream.Client{URL: registry.URL}).Push(t.Context(), "team/app", "x", image); err != nil {
		t.Fatal(err)
	}
	return m
}

// greet lets those in who are known: without that, nothing else says anything.
func (m *matrix) greet(rows map[string]*row) {
	m.t.Helper()
	for name, r := range rows {
		for _, v := range []visitor{r.known, r.robot} {
			if got := r.knock(m.t, v); got.status != 200 {
				m.t.Fatalf("%s: who is known is answered %d: %.300s\n%s", name, got.status, got.body, strings.Join(r.gateway.Log.Tail(8), "\n"))
			}
		}
	}
}

// must ends the turn if something could not be done.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write replaces a file at once, as an editor does.
func write(t *testing.T, file, text string) {
	t.Helper()
	must(t, os.WriteFile(file+".new", []byte(text), 0o600))
	must(t, os.Rename(file+".new", file))
}
