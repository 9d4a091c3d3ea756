package history

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var lasts = flag.Duration("for", 8*time.Second, "how long each store is changed and disturbed")

const (
	clients  = 8
	counters = 2
)

// TestHistory holds what is there, and what is refused, to what was acknowledged:
//
//   - every acknowledged change is there, also after gateways were killed;
//   - of a counter that all clients count up with If-Match no count is lost;
//   - a robot that was deleted or disabled, and a token that was revoked, is refused
//     by every gateway from then on;
//   - a token that is asked for after a revocation is good.
func TestHistory(t *testing.T) {
	for name, shared := range map[string]bool{"file": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, shared)
			h := &history{scene: s}
			ctx, cancel := context.WithTimeout(t.Context(), *lasts)
			defer cancel()
			for i := range counters {
				if got := s.nodes[0].api("PUT", counterPath(i), countTo(0)); got.status != http.StatusCreated {
					t.Fatal(got)
				}
			}
			var group sync.WaitGroup
			for i := range clients {
				group.Go(func() { h.client(ctx, i) })
			}
			group.Go(func() { h.count(ctx) })
			group.Go(func() { h.count(ctx) })
			group.Go(func() { h.watchTheDead(ctx) })
			did := s.faults(ctx)
			group.Wait()
			h.settle()
			h.finally()
			t.Logf("%s: %d changes acknowledged, %d of which nobody knows, %d counted, %d looks at what was ended, faults %v",
				name, h.acknowledged.Load(), h.unknown.Load(), h.counted[0].acknowledged.Load()+h.counted[1].acknowledged.Load(), h.looks.Load(), did)
			if h.acknowledged.Load() == 0 || h.looks.Load() == 0 {
				t.Error("nothing was shown")
			}
		})
	}
}

// history is what clients have done.
type history struct {
	*scene
	acknowledged, unknown, looks atomic.Int64
	counted                      [counters]struct{ acknowledged, unknown atomic.Int64 }

	mu   sync.Mutex
	dead []dead
	kept []*robot
}

// dead is a credential that has ended: nobody is let in with it any more.
type dead struct {
	what, authorization string
	token               bool
	since               time.Time
}

// robot is one that a client has made, as the client knows it.
type robot struct {
	name, login string
	description map[string]bool // what it may be
	disabled    bool
	unsure      bool // whether it is there, or disabled, is not known
	tokens      []string
}

func (r *robot) path() string { return "/robots/" + r.name }

func (h *history) bury(d ...dead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range d {
		d[i].since = time.Now()
	}
	h.dead = append(h.dead, d...)
}

// did notes whether a change was acknowledged.
func (h *history) did(a answer) (made, known bool) {
	made, known = a.made()
	if made {
		h.acknowledged.Add(1)
	}
	if !known {
		h.unknown.Add(1)
		time.Sleep(50 * time.Millisecond) // the gateway may be away
	}
	return made, known
}

// client makes and changes robots of its own.
func (h *history) client(ctx context.Context, id int) {
	var mine []*robot
	for n := 0; ctx.Err() == nil; n++ {
		if len(mine) == 0 || rand.IntN(4) == 0 {
			if r := h.create(fmt.Sprintf("h%d-%d", id, n)); r != nil {
				mine = append(mine, r)
			}
			continue
		}
		i := rand.IntN(len(mine))
		if r := mine[i]; !h.change(r) || r.unsure {
			mine = append(mine[:i], mine[i+1:]...)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, mine...)
}

func described(text string) string {
	return fmt.Sprintf(`{"description":%q,"permissions":[{"name":"team/**","actions":["pull"]}]}`, text)
}

func (h *history) create(name string) *robot {
	r := &robot{name: name, description: map[string]bool{"new": true}}
	a := h.any().api("PUT", r.path(), described("new"), "If-None-Match", "*")
	made, known := h.did(a)
	if !made {
		if known {
			h.t.Errorf("%s cannot be made: %d %s", name, a.status, a.body)
		}
		return nil
	}
	var answer struct{ Secret string }
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil || answer.Secret == "" {
		h.t.Errorf("%s: %v: %s", name, err, a.body)
		return nil
	}
	r.login = "Basic " + base64.StdEncoding.EncodeToString([]byte("robot$"+name+":"+answer.Secret))
	return r
}

// change does something to a robot, and reports whether it is still there.
func (h *history) change(r *robot) bool {
	n := h.any()
	switch rand.IntN(6) {
	case 0: // describe it
		text := fmt.Sprint(rand.Uint64())
		switch made, known := h.did(n.api("PATCH", r.path(), fmt.Sprintf(`{"description":%q}`, text))); {
		case made:
			r.description = map[string]bool{text: true}
		case !known:
			r.description[text] = true
		}
	case 1: // disable it, or enable it
		a := n.api("PATCH", r.path(), fmt.Sprintf(`{"disabled":%t}`, !r.disabled))
		made, known := h.did(a)
		if !known {
			r.unsure = true
		}
		if made {
			if r.disabled = !r.disabled; r.disabled {
				h.end(r, "disabled")
			}
		}
	case 2: // delete it
		made, known := h.did(n.api("DELETE", r.path(), ""))
		if made {
			h.bury(dead{what: r.name + ", deleted", authorization: r.login})
			h.end(r, "deleted")
			return false
		}
		r.unsure = !known
	case 3: // revoke its tokens
		if made, _ := h.did(n.api("POST", "/revocations", fmt.Sprintf(`{"principal":"robot:%s"}`, r.name))); made {
			h.end(r, "revoked")
			h.tokenIsGood(n, r)
		}
	default:
		if token := n.token(r.login); token != "" {
			r.tokens = append(r.tokens, token)
		}
	}
	return true
}

// end notes that the tokens of a robot have ended.
func (h *history) end(r *robot, why string) {
	if why == "disabled" { // until it is enabled again
		return
	}
	for _, token := range r.tokens {
		h.bury(dead{what: "a token of " + r.name + ", " + why, authorization: token, token: true})
	}
	r.tokens = nil
}

// tokenIsGood asks the gateway that has just answered a revocation for a token.
func (h *history) tokenIsGood(n *node, r *robot) {
	if r.disabled || r.unsure {
		return
	}
	if token := n.token(r.login); token != "" {
		if status := n.use(token); status == http.StatusUnauthorized {
			h.t.Errorf("a token of %s that was asked for after a revocation is refused", r.name)
		}
		r.tokens = append(r.tokens, token)
	}
}

// token returns a registry token, "" if there is none.
func (n *node) token(login string) string {
	a := n.call("GET", "/v2/token?service="+service+"&scope=repository:team/app:pull", login, "")
	var answer struct{ Token string }
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &answer) != nil {
		return ""
	}
	return "Bearer " + answer.Token
}

// use returns what a gateway says of a token: 401 if it does not take it.
func (n *node) use(token string) int {
	return n.call("GET", "/v2/team/app/manifests/x", token, "").status
}

// letIn reports whether a gateway lets somebody in with what has ended.
func (n *node) letIn(d *dead) bool {
	if d.token {
		status := n.use(d.authorization)
		return status == http.StatusNotFound || status == http.StatusOK
	}
	return n.token(d.authorization) != ""
}

// watchTheDead looks again and again at what has ended.
func (h *history) watchTheDead(ctx context.Context) {
	for ctx.Err() == nil {
		h.mu.Lock()
		var d dead
		if len(h.dead) > 0 {
			d = h.dead[rand.IntN(len(h.dead))]
		}
		h.mu.Unlock()
		n := h.any()
		if d.what == "" || !n.knows(d.since) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		h.looks.Add(1)
		start := time.Now()
		if n.letIn(&d) && n.knows(start.Add(-settled)) {
			h.t.Errorf("%s %s ago, is alive on %s", d.what, time.Since(d.since), n.url)
		}
	}
}

func counterPath(i int) string { return fmt.Sprint("/robots/counter-", i) }

func countTo(n int) string { return described(fmt.Sprint(n)) }

// read returns how far a counter is, and its ETag.
func (n *node) read(i int) (count int, etag string) {
	a := n.api("GET", counterPath(i), "")
	var answer struct{ Description string }
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &answer) != nil {
		return 0, ""
	}
	_, _ = fmt.Sscan(answer.Description, &count)
	return count, a.etag
}

// count counts up, each time from what was read or answered last.
func (h *history) count(ctx context.Context) {
	for ctx.Err() == nil {
		i, n := rand.IntN(counters), h.any()
		at, etag := n.read(i)
		for etag != "" && ctx.Err() == nil {
			a := h.any().api("PUT", counterPath(i), countTo(at+1), "If-Match", etag)
			made, known := a.made()
			if made {
				h.counted[i].acknowledged.Add(1)
				at, etag = at+1, a.etag
				continue
			}
			if !known {
				h.counted[i].unknown.Add(1)
				time.Sleep(50 * time.Millisecond)
			}
			break
		}
	}
}

// settle waits until all gateways know everything.
func (h *history) settle() {
	end := time.Now().Add(time.Minute)
	for _, n := range h.nodes {
		for !n.knows(time.Now().Add(-settled)) && time.Now().Before(end) {
			time.Sleep(50 * time.Millisecond)
		}
	}
	time.Sleep(settled)
}

// finally compares what is there with what was acknowledged.
func (h *history) finally() {
	for _, n := range h.nodes {
		for i := range counters {
			at, _ := n.read(i)
			least := h.counted[i].acknowledged.Load()
			if most := least + h.counted[i].unknown.Load(); int64(at) < least || int64(at) > most {
				h.t.Errorf("counter %d is %d on %s, want %d to %d", i, at, n.url, least, most)
			}
		}
		for i := range h.dead {
			if d := &h.dead[i]; n.letIn(d) {
				h.t.Errorf("%s, is alive on %s in the end", d.what, n.url)
			}
		}
		for _, r := range h.kept {
			if r.unsure {
				continue
			}
			a := n.api("GET", r.path(), "")
			var got struct {
				Description string
				Disabled    bool
			}
			if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &got) != nil {
				h.t.Errorf("%s, which was acknowledged, is not on %s: %d %s", r.name, n.url, a.status, a.body)
				continue
			}
			if !r.description[got.Description] || got.Disabled != r.disabled {
				h.t.Errorf("%s on %s: %+v, want one of %v, disabled %t", r.name, n.url, got, r.description, r.disabled)
			}
			if in := n.token(r.login) != ""; in == r.disabled {
				h.t.Errorf("%s on %s: logs in %t, disabled %t", r.name, n.url, in, r.disabled)
			}
		}
	}
}
