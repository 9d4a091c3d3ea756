package clients

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
)

// visitor is what somebody shows.
type visitor struct {
	user, secret string   // HTTP Basic
	headers      []string // other fields, "Name: value"
	cert         string   // the client certificate of this name
	at           string   // another base URL than that of the row's site
}

// turn is a cell, played.
type turn struct {
	shown   []visitor // answered as the cell says, sooner or later; the first also to the client
	shorter *visitor  // what the client shows instead, where it cannot show a megabyte
	welcome []visitor // get in during the outage
	served  []visitor // get in, too, but may have to wait with the others
	repair  func()    // ends the failure
	after   []visitor // get in then
	logged  string    // what the log says
}

// row is an authenticator with its counterpart.
type row struct {
	name    string // the authenticator's module
	block   string // its lines in the Caddyfile
	tls     bool
	client  string        // "docker", "skopeo" or "curl"
	timeout time.Duration // for who is asked
	known   visitor       // gets in from the start
	robot   visitor       // is not affected by anything
	turns   map[failure]func(*testing.T) turn

	url     string
	gateway *gateway.Gateway
	certs   *authority
}

// remembered is for how long the gateway remembers who was let in. What a turn
// does between letting somebody in and looking whether that is remembered has to
// take less, on a machine that is busy, too; and somebody has to be let in who
// was not remembered already, for their time begins then.
const remembered = 10 * time.Second

// play plays the row's cells in their order.
func (r *row) play(t *testing.T, list ...failure) {
	for _, f := range list {
		c := failureMatrix[r.name][f]
		if c.none != "" {
			continue
		}
		t.Run(string(f), func(t *testing.T) {
			play := r.turns[f]
			if play == nil {
				t.Fatal("nobody plays this cell")
			}
			mark := r.gateway.Log.Mark()
			turn := play(t)
			r.face(t, f, c, turn)
			r.logged(t, mark, turn.logged)
		})
	}
}

// logged waits until the log says something.
func (r *row) logged(t *testing.T, mark int, what string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(strings.Join(r.gateway.Log.Since(mark), "\n"), what) {
			return
		}
	}
	t.Errorf("the log does not say %q", what)
}

// face shows the gateway what the turn's visitors have.
func (r *row) face(t *testing.T, f failure, c cell, turn turn) {
	t.Helper()
	if len(turn.shown) == 0 {
		t.Fatal("nobody is shown")
	}
	r.others(t, f, turn)
	for i, v := range turn.shown {
		got := r.knock(t, v)
		for deadline := time.Now().Add(4 * remembered); got.status != c.status && (f == accountGone || f == rotation) && time.Now().Before(deadline); got = r.knock(t, v) {
			time.Sleep(100 * time.Millisecond)
		}
		if got.status != c.status {
			t.Errorf("visitor %d is answered %d, want %d: %.300s", i, got.status, c.status, got.body)
		}
		if wait := got.header.Get("Retry-After"); (got.status == http.StatusServiceUnavailable) != (wait != "") {
			t.Errorf("visitor %d: %d with Retry-After %q", i, got.status, wait)
		}
		if limit := r.timeout + 3*time.Second; got.took > limit {
			t.Errorf("visitor %d is answered after %s", i, got.took)
		}
	}
	shows := turn.shown[0]
	if turn.shorter != nil {
		shows = *turn.shorter
	}
	out, err := r.visit(t, shows)
	if (err == nil) != (c.status == 200) || !strings.Contains(out, c.says) {
		t.Errorf("%s prints, with %v:\n%.600s\nwant %q", r.client, err, out, c.says)
	}
	for i, v := range turn.served {
		if got := r.knock(t, v); got.status != 200 {
			t.Errorf("visitor %d, who is known, is answered %d: %.300s", i, got.status, got.body)
		}
	}
	if turn.repair != nil {
		turn.repair()
	}
	for i, v := range turn.after {
		eventually(t, fmt.Sprintf("visitor %d gets in", i), func() bool { return r.knock(t, v).status == 200 })
		if out, err := r.visit(t, v); err != nil {
			t.Errorf("%s, once repaired: %v: %.600s", r.client, err, out)
		}
	}
}

// others sees that those get in who have nothing to do with the failure: while
// somebody waits for who does not answer, if that is it.
func (r *row) others(t *testing.T, f failure, turn turn) {
	t.Helper()
	waited := make(chan time.Duration, 1)
	if f == slow {
		go func() { waited <- r.knock(t, turn.shown[0]).took }()
		time.Sleep(50 * time.Millisecond)
	}
	var slowest time.Duration
	for i, v := range append(turn.welcome, r.robot) {
		got := r.knock(t, v)
		if got.status != 200 {
			t.Errorf("in that time, welcome visitor %d is answered %d: %.300s", i, got.status, got.body)
		}
		slowest = max(slowest, got.took)
	}
	if f != slow {
		return
	}
	if took := <-waited; slowest > took/2 {
		t.Errorf("others wait for %s, who is to wait for %s", slowest, took)
	}
}
