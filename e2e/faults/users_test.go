package faults

import (
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// kind is a kind of request.
type kind string

// What users do. Ended credentials are those of a robot that was deleted: they
// knock, too, and nobody may let them in.
const (
	pullByToken  kind = "pull with a registry token"
	pullBySecret kind = "pull with a stored robot's secret"
	fetchToken   kind = "token"
	push         kind = "push"
	change       kind = "change"
	endedToken   kind = "pull with an ended robot's token"
	endedSecret  kind = "pull with an ended robot's secret"
	people       kind = "pull with a person's ID token" // where there is a provider
)

var kinds = []kind{pullByToken, pullBySecret, fetchToken, push, change, endedToken, endedSecret, people}

// rates are how often each kind of request is sent, in a second.
var rates = map[kind]int{pullByToken: 50, pullBySecret: 30, fetchToken: 40, push: 10, change: 10, endedToken: 5, endedSecret: 5, people: 10}

// sample is a request with its answer.
type sample struct {
	kind       kind
	begin, end time.Time
	reply      reply
}

func (s sample) ended() bool { return s.kind == endedToken || s.kind == endedSecret }

// good reports whether it was answered as on a good day.
func (s sample) good() bool {
	switch s.kind {
	case endedToken, endedSecret:
		return s.reply.status == http.StatusUnauthorized
	case push, change:
		return s.reply.status/100 == 2
	case fetchToken:
		return s.reply.status == http.StatusOK
	}
	return s.reply.status == http.StatusOK && s.reply.body == string(content)
}

// users go on working, whatever happens.
type users struct {
	family   string
	registry *registry
	nodes    []*node

	idToken func() string // of a person; nil: there is no provider

	run                     string // sets their names apart from those of other users
	stored, token           string // of a robot in the store
	endedStored, endedToken string

	afterwards func(*check) // what must be so once the fault is over

	mu      sync.Mutex
	samples []sample
	calm    []time.Duration   // what requests took between faults
	robots  map[string]bool   // by name: whether it was acknowledged to be there
	pushed  map[string]string // digest by name, of what was acknowledged
	stopped chan struct{}
	all     sync.WaitGroup
	number  int
}

// newUsers lets users begin at gateways that are ready. They stop with the
// test.
func newUsers(t *testing.T, family string, r *registry, idToken func() string, nodes ...*node) *users {
	t.Helper()
	u := &users{run: strings.ToLower(crand.Text()[:8]), idToken: idToken, family: family, registry: r, nodes: nodes, robots: map[string]bool{}, pushed: map[string]string{}, stopped: make(chan struct{})}
	first := nodes[0]
	first.send("DELETE", api+"/robots/stored", asAdmin, "") // of those before
	u.stored = first.robot(t, "stored")
	u.token = first.token(t, u.stored)
	u.endedStored = first.robot(t, "ended")
	u.endedToken = first.token(t, u.endedStored)
	if r := first.send("DELETE", api+"/robots/ended", asAdmin, ""); r.status != http.StatusNoContent {
		t.Fatalf("ending a robot: %d %s %v", r.status, r.body, r.err)
	}
	for _, n := range nodes {
		eventually(t, time.Second, "all gateways know", func() bool {
			return n.send("GET", manifest, u.token, "").status == 200 && n.send("GET", manifest, u.endedToken, "").status == 401
		})
	}
	for _, k := range u.kinds() {
		u.all.Go(func() { u.loop(k) })
	}
	t.Cleanup(func() {
		close(u.stopped)
		u.all.Wait()
		client.CloseIdleConnections()
	})
	return u
}

// kinds are what these users do.
func (u *users) kinds() []kind {
	if u.idToken == nil {
		return kinds[:len(kinds)-1]
	}
	return kinds
}

// loop sends requests of a kind at its rate, whether those before are answered
// or not, but for those who have waited in vain for too long.
func (u *users) loop(k kind) {
	ticker := time.NewTicker(time.Second / time.Duration(rates[k]))
	defer ticker.Stop()
	waiting := make(chan struct{}, 10*rates[k])
	for {
		select {
		case <-u.stopped:
			return
		case <-ticker.C:
		}
		select {
		case waiting <- struct{}{}:
			u.all.Go(func() {
				u.once(k)
				<-waiting
			})
		default:
		}
	}
}

// once sends one request, to any of the gateways.
func (u *users) once(k kind) {
	n := u.nodes[rand.IntN(len(u.nodes))]
	s := sample{kind: k, begin: time.Now()}
	switch k {
	case pullByToken:
		s.reply = n.send("GET", manifest, u.token, "")
	case pullBySecret:
		s.reply = n.send("GET", manifest, u.stored, "")
	case fetchToken:
		s.reply = n.send("GET", tokenPath, u.stored, "")
	case endedToken:
		s.reply = n.send("GET", manifest, u.endedToken, "")
	case endedSecret:
		s.reply = n.send("GET", manifest, u.endedStored, "")
	case people:
		s.reply = n.send("GET", manifest, "Bearer "+u.idToken(), "")
	case push:
		s.reply = u.push(n)
	case change:
		s.reply = u.change(n)
	}
	s.end = time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.samples = append(u.samples, s)
}

func (u *users) next() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.number++
	return u.number
}

// again lets Go's client send a request once more whose connection was closed
// before it was answered, as it does with those that only read.
const again = "Idempotency-Key: "

func (u *users) push(n *node) reply {
	tag := fmt.Sprintf("%s-%d", u.run, u.next())
	body := strings.Replace(string(content), "mmmm", tag, 1)
	r := n.send("PUT", "/v2/team/app/manifests/"+tag, u.token, body, "Content-Type: "+upstream.ManifestType, again+tag)
	if r.status == http.StatusCreated {
		u.mu.Lock()
		u.pushed["team/app:"+tag] = upstream.Digest([]byte(body))
		u.mu.Unlock()
	}
	return r
}

// change makes a robot, or deletes one that is there.
func (u *users) change(n *node) reply {
	i := u.next()
	name := ""
	if i%4 == 0 {
		u.mu.Lock()
		for have, there := range u.robots {
			if there {
				name = have
				delete(u.robots, have) // nobody knows until it is answered
				break
			}
		}
		u.mu.Unlock()
	}
	if name != "" {
		r := n.send("DELETE", api+"/robots/"+name, asAdmin, "", again+fmt.Sprintf("%s-%d", u.run, i))
		if r.status == http.StatusNotFound {
			r.status = http.StatusNoContent // the first attempt's answer was lost, or this gateway has not heard of the robot yet
			return r
		}
		if r.status == http.StatusNoContent {
			u.mu.Lock()
			u.robots[name] = false
			u.mu.Unlock()
		}
		return r
	}
	name = fmt.Sprintf("%s-%d", u.run, i)
	r := n.send("PUT", api+"/robots/"+name, asAdmin, `{"permissions":[]}`, again+name)
	if r.status/100 == 2 {
		u.mu.Lock()
		u.robots[name] = true
		u.mu.Unlock()
	}
	return r
}

// since returns the requests that were answered after some time, oldest first.
func (u *users) since(begin time.Time) []sample {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found []sample
	for _, s := range slices.Backward(u.samples) {
		if s.end.Before(begin.Add(-patience())) {
			break
		}
		if s.end.After(begin) {
			found = append(found, s)
		}
	}
	slices.Reverse(found)
	return found
}

// settle waits until requests of all kinds that began after the end of a fault
// are answered well, for half a second.
func (u *users) settle(c *check, end time.Time, limit time.Duration) {
	const calm = 500 * time.Millisecond
	for {
		time.Sleep(50 * time.Millisecond)
		seen, last := map[kind]bool{}, end
		var bad *sample
		for _, s := range u.since(end) {
			switch {
			case !s.good():
				bad = &s
				last = s.end
			case s.begin.After(end):
				seen[s.kind] = true
			}
		}
		if len(seen) == len(u.kinds()) && time.Since(last) > calm {
			return
		}
		if time.Since(end) > limit+10*time.Second {
			c.Errorf("users are not served %s after the end: %v", time.Since(end).Round(time.Millisecond), bad)
			return
		}
	}
}

// judge holds what users were answered to what the fault may do to them, by
// when they began to be idle, when it began, when its repair did, and when that
// was done.
func (u *users) judge(c *check, r *row, f fault, at [4]time.Time) {
	idle, begin, repair, end := at[0], at[1], at[2], at[3]
	limit := end.Add(slack(f.within))
	var slowest time.Duration
	for _, s := range u.since(begin) {
		r.requests++
		slowest = max(slowest, s.end.Sub(s.begin))
		if s.good() {
			continue
		}
		allowed := slices.Contains(f.refuses[s.kind], s.reply.status) ||
			s.end.After(repair) && slices.Contains(f.atEnd[s.kind], s.reply.status)
		if allowed && s.begin.Before(limit) {
			r.refused++
			if s.end.After(end) {
				r.recovery = max(r.recovery, s.end.Sub(end))
			}
			continue
		}
		r.failed++
		c.Errorf("%s", s.describe(begin, end))
	}
	if f.felt && r.refused+r.failed == 0 && slowest < 900*time.Millisecond {
		c.Errorf("nobody has felt it")
	}
	measured := f.measures
	if measured == nil {
		measured = []kind{pullByToken, pullBySecret}
	}
	u.calm = append(u.calm, u.times(idle, begin, measured)...)
	u.calm = u.calm[max(0, len(u.calm)-1000):]
	r.before, r.p99 = p99(slices.Clone(u.calm)), p99(u.times(begin, end, measured))
}

func (s sample) String() string { return s.describe(s.begin, s.begin) }

func (s sample) describe(begin, end time.Time) string {
	when := fmt.Sprintf("%.3f s into the fault", s.begin.Sub(begin).Seconds())
	if s.begin.After(end) {
		when = fmt.Sprintf("%.3f s after its end", s.begin.Sub(end).Seconds())
	}
	if s.ended() && s.reply.status == http.StatusOK {
		return fmt.Sprintf("LET IN: %s, %s", s.kind, when)
	}
	return fmt.Sprintf("%s, %s, after %s: %d %.200s %v", s.kind, when, s.end.Sub(s.begin).Round(time.Millisecond), s.reply.status, s.reply.body, s.reply.err)
}

// times are how long requests took that were answered well.
func (u *users) times(from, to time.Time, kinds []kind) []time.Duration {
	var all []time.Duration
	for _, s := range u.since(from) {
		if s.good() && s.begin.After(from) && s.end.Before(to) && slices.Contains(kinds, s.kind) {
			all = append(all, s.end.Sub(s.begin))
		}
	}
	return all
}

// p99 is the time that 99 of 100 took at most; 0 where too few were measured.
func p99(all []time.Duration) time.Duration {
	if len(all) < 20 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)*99/100, len(all)-1)]
}

// lost counts what was acknowledged and is not there, at any of the gateways
// or at the registry; and what was taken away and is.
func (u *users) lost(c *check) (lost int) {
	u.mu.Lock()
	robots, pushed := map[string]bool{}, u.pushed
	for name, there := range u.robots {
		robots[name] = there
	}
	u.pushed = map[string]string{}
	u.mu.Unlock()
	for name, digest := range pushed {
		if !u.registry.has(name, digest) {
			lost++
			c.Errorf("the push of %s was acknowledged, and is lost", name)
		}
	}
	var gone []string
	for _, n := range u.nodes {
		for name, there := range robots {
			r := n.send("GET", api+"/robots/"+name, asAdmin, "")
			// Another gateway may still have to hear of what was just changed.
			for begin := time.Now(); !told(r, there) && len(u.nodes) > 1 && time.Since(begin) < slack(time.Second); r = n.send("GET", api+"/robots/"+name, asAdmin, "") {
				time.Sleep(20 * time.Millisecond)
			}
			if told(r, there) {
				continue
			}
			u.mu.Lock()
			now, known := u.robots[name]
			u.mu.Unlock()
			if !known || now != there {
				continue // it has changed since
			}
			lost++
			c.Errorf("robot %s at %s: %d, acknowledged to be there: %t", name, n.Addr, r.status, there)
			gone = append(gone, name)
		}
	}
	// What has been seen is not asked about again and again.
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, there := range robots {
		if !there || len(u.robots) > 200 {
			delete(u.robots, name)
		}
	}
	for _, name := range gone {
		delete(u.robots, name)
	}
	u.samples = nil
	return lost
}

// told reports whether an answer says that a robot is there, or that it is not.
func told(r reply, there bool) bool {
	return there && r.status == http.StatusOK || !there && r.status == http.StatusNotFound
}

// forget forgets what was acknowledged: it is gone, and meant to be.
func (u *users) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.robots)
}

// memory is what the gateways remember, added up; their peaks begin again.
func (u *users) memory(c *check) (sum int64) {
	for _, n := range u.nodes {
		rss, err := n.RSS()
		if err == nil {
			err = n.ForgetPeak()
		}
		if err != nil {
			c.Fatal(err)
		}
		sum += rss
	}
	return sum
}

// peak is the most memory that the gateways have had, added up.
func (u *users) peak(c *check) (sum int64) {
	for _, n := range u.nodes {
		peak, err := n.Peak()
		if err != nil {
			c.Fatal(err)
		}
		sum += peak
	}
	return sum
}
