package faults

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/postgres"
)

// onPostgres is the store of all gateways of a test.
const onPostgres = "postgres {env.DSN}"

// cluster is two gateways with a line each to one database.
type cluster struct {
	db    *postgres.Server
	a, b  *node
	lineB *line
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	postgres.Need(t)
	db, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	// As few connections as two gateways need: taking all is work.
	if err := db.Shell(`psql -qc "ALTER SYSTEM SET max_connections = 24" "$REGISTRY_AUTH_DSN"`); err != nil {
		t.Fatal(err)
	}
	try(db.Crash)(&check{T: t})
	try(func() error { return db.Resume(t.Context()) })(&check{T: t})
	return &cluster{db: db, lineB: newLine(t, db.Addr())}
}

// start starts both gateways: the second is to reach the database by its line.
func (cl *cluster) start(t *testing.T, r *registry, dsnA, dsnB string) {
	cl.a, cl.b = configure(t, r, onPostgres, "", "DSN="+dsnA), configure(t, r, onPostgres, "", "DSN="+dsnB)
	cl.a.start(t)
	cl.b.start(t)
}

// try fails the check if something could not be done.
func try(do func() error) func(*check) {
	return func(c *check) {
		c.Helper()
		if err := do(); err != nil {
			c.Fatal(err)
		}
	}
}

// TestPostgres takes the database of two gateways away. Nobody has to wait for
// it but those who change something.
func TestPostgres(t *testing.T) {
	r := newRegistry(t)
	cl := newCluster(t)
	db := cl.db
	cl.start(t, r, db.DSN(), strings.Replace(db.DSN(), db.Addr(), cl.lineB.Addr, 1))
	rounds(t, func(t *testing.T) {
		u := newUsers(t, "PostgreSQL", r, nil, cl.a, cl.b)
		wait := map[kind][]int{change: {503}}
		ending := cl.endsWhile(u)
		for _, f := range []fault{
			{name: "PostgreSQL stopped", begin: try(db.Crash), end: try(func() error { return db.Resume(t.Context()) })},
			{name: "PostgreSQL paused", begin: try(db.Freeze), end: try(db.Thaw), during: long},
			{name: "PostgreSQL locked", during: func(c *check) {
				try(func() error {
					return db.Shell(`psql -qc "BEGIN; LOCK TABLE registry_auth_documents, registry_auth_realms, registry_auth_history IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT" "$REGISTRY_AUTH_DSN" >/dev/null`)
				})(c)
			}},
			{name: "PostgreSQL out of connections", during: cl.exhaust},
			{name: "PostgreSQL restored", during: func(c *check) { cl.restore(c, u) }},
			{name: "PostgreSQL restored while a gateway is cut off", during: func(c *check) { cl.restoreUnseen(c, u) }},
			{name: "PostgreSQL cut off from one gateway", begin: cl.lineB.cut, during: ending, end: cl.lineB.mend},
			{name: "PostgreSQL silent for one gateway", begin: cl.lineB.sleep, during: ending, end: cl.lineB.wake},
			{name: "a gateway of two paused", begin: try(func() error { return cl.b.Signal(stop) }), during: ending, end: try(func() error { return cl.b.Signal(goOn) })},
		} {
			f.refuses, f.within = wait, 3*time.Second
			f.felt = f.name != "PostgreSQL restored"
			suffer(t, u, f)
		}
	})
	rounds(t, func(t *testing.T) { failover(t, r) })
}

// failover loses the primary for good, which is followed by a standby that has
// everything that was acknowledged.
func failover(t *testing.T, r *registry) {
	cl := newCluster(t)
	second, err := cl.db.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := strings.Replace(cl.db.DSN(), cl.db.Addr(), cl.db.Addr()+","+second.Addr(), 1) + "&target_session_attrs=read-write"
	cl.start(t, r, dsn, dsn)
	u := newUsers(t, "PostgreSQL", r, nil, cl.a, cl.b)
	suffer(t, u, fault{name: "PostgreSQL failed over", begin: try(cl.db.Crash), end: try(second.Promote), refuses: map[kind][]int{change: {503}}, felt: true, within: 5 * time.Second})
}

// long is long enough for time-outs to be felt.
func long(*check) { time.Sleep(lasts(4 * time.Second)) }

// endsWhile ends a robot at the first gateway while the second cannot hear of
// it, and wants the second to refuse it as soon as it can: the next fault
// begins with what has been ended by then.
func (cl *cluster) endsWhile(u *users) func(*check) {
	return func(c *check) {
		name := strings.ToLower(strings.ReplaceAll(c.fault, " ", "-"))
		login := cl.a.robot(c, name)
		token := cl.a.token(c, login)
		time.Sleep(lasts(time.Second))
		if a := cl.a.send("DELETE", api+"/robots/"+name, asAdmin, ""); a.status != http.StatusNoContent {
			c.Fatalf("ending %s: %d %s %v", name, a.status, a.body, a.err)
		}
		u.afterwards = func(c *check) {
			for what, credential := range map[string]string{"secret": login, "token": token} {
				eventually(c, time.Second, "an ended "+what+" is refused by the other", func() bool {
					return cl.b.send("GET", manifest, credential, "").status == http.StatusUnauthorized
				})
			}
		}
		time.Sleep(lasts(time.Second))
	}
}

// exhaust takes all connections that the database has, those of the gateways,
// too, and holds them for some seconds.
func (cl *cluster) exhaust(c *check) {
	noticed := make(chan bool, 1)
	go func() {
		seen := false
		for begin := time.Now(); time.Since(begin) < 5*time.Second && !seen; time.Sleep(50 * time.Millisecond) {
			seen = strings.Contains(cl.a.send("GET", api+"/health", "", "").body, `"degraded"`)
		}
		noticed <- seen
	}()
	try(func() error {
		return cl.db.Shell(`
end=$(($(date +%s) + 4))
hoard() {
	while [ $(date +%s) -lt $end ]; do psql -qc "SELECT pg_sleep($end - extract(epoch FROM now()))" "$REGISTRY_AUTH_DSN" >/dev/null 2>&1 || sleep 0.05; done
}
psql -qc "SELECT pg_sleep(1)" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query NOT LIKE '%pg_sleep%' AND pid <> pg_backend_pid() AND backend_type = 'client backend'" -c "SELECT pg_sleep(2)" "$REGISTRY_AUTH_DSN" >/dev/null &
for i in $(seq 30); do hoard & done
wait`)
	})(c)
	if !<-noticed {
		c.Errorf("no gateway has missed a connection")
	}
}

// The commands of docs/state.md, but for where the dump is.
const (
	dump    = `pg_dump --format custom --file state.dump "$REGISTRY_AUTH_DSN"`
	restore = `pg_restore --clean --if-exists --single-transaction --dbname "$REGISTRY_AUTH_DSN" state.dump`
)

// restore puts a dump back below gateways that go on. What was made after it
// is gone with it.
func (cl *cluster) restore(c *check, u *users) {
	try(func() error { return cl.db.Shell(dump) })(c)
	later := cl.a.robot(c, "later")
	try(func() error { return cl.db.Shell(restore) })(c)
	u.forget()
	for _, n := range []*node{cl.a, cl.b} {
		eventually(c, 3*time.Second, "what was made after the dump is gone", func() bool {
			return n.send("GET", manifest, later, "").status == http.StatusUnauthorized
		})
	}
	u.forget()
}

// restoreUnseen does so while one gateway is cut off, and lets the other go on
// until it is as far as the first was. The number of a change does not tell
// the two histories apart.
func (cl *cluster) restoreUnseen(c *check, u *users) {
	try(func() error { return cl.db.Shell(dump) })(c)
	later := cl.a.robot(c, "unseen")
	eventually(c, time.Second, "the other knows it", func() bool { return cl.b.send("GET", manifest, later, "").status == 200 })
	cl.lineB.cut(c)
	try(func() error { return cl.db.Shell(restore) })(c)
	u.forget()
	time.Sleep(lasts(2 * time.Second)) // users go on changing things
	cl.lineB.mend(c)
	for _, n := range []*node{cl.a, cl.b} {
		begin := time.Now()
		for n.send("GET", manifest, later, "").status != http.StatusUnauthorized {
			if time.Since(begin) > slack(3*time.Second) {
				c.Errorf("what was made after the dump is good at %s", n.Addr)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	u.forget()
}
