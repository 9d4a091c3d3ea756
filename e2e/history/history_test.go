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

var lasts = flag.Duration("for", 3*time.Second, "how long each store is changed and disturbed")

const (
	clients  = 8
	counters = 2
)

// TestHistory holds what is there, and what is refused, to what was acknowledged:
//
//   - every acknowledged change is there, also after gateways were killed, unless a
//     backup was restored that was made before it;
//   - of a counter that all clients count up with If-Match no count is lost;
//   - a robot that was deleted or disabled, and a token that was revoked, is refused
//     by every gateway from then on, also after a backup was restored that was made
//     afterwards;
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
			did := h.faults(ctx)
			group.Wait()
			h.settle()
			h.finally()
			t.Logf("%s: %d changes acknowledged, %d of which nobody knows, %d counted, %d looks at what was ended, faults %v",
				name, h.acknowledged.Load(), h.unknown.Load(), h.counts.Load(), h.looks.Load(), did)
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

	counting sync.RWMutex // held for writing while nobody may count
	counted  [counters]counter
	counts   atomic.Int64 // in all

	backup   *backup
	restores restores

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
	unsure      bool      // whether it is there, or disabled, is not known
	changed     time.Time // acknowledged
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

// change is one that a client asks for: nobody knows of it whether it was made if a
// backup was restored at the same time.
func (h *history) change(n *node, method, path, body string, header ...string) (a answer, made, known bool) {
	begun := time.Now()
	a = n.api(method, path, body, header...)
	if made, known = a.made(); h.restores.undid(begun, time.Now()) {
		made, known = false, false
	}
	if made {
		h.acknowledged.Add(1)
	}
	if !known {
		h.unknown.Add(1)
		time.Sleep(50 * time.Millisecond) // the gateway may be away
	}
	return a, made, known
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
		if r := mine[i]; h.unsure(r) || !h.touch(r) {
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
	a, made, known := h.change(h.any(), "PUT", r.path(), described("new"), "If-None-Match", "*")
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
	r.changed = time.Now()
	r.login = "Basic " + base64.StdEncoding.EncodeToString([]byte("robot$"+name+":"+answer.Secret))
	return r
}

// unsure reports whether it is not known what a robot is like.
func (h *history) unsure(r *robot) bool { return r.unsure || h.restores.undid(r.changed, r.changed) }

// touch does something to a robot, and reports whether it is still there.
func (h *history) touch(r *robot) bool {
	n := h.any()
	switch rand.IntN(6) {
	case 0: // describe it
		text := fmt.Sprint(rand.Uint64())
		switch _, made, known := h.change(n, "PATCH", r.path(), fmt.Sprintf(`{"description":%q}`, text)); {
		case made:
			r.description, r.changed = map[string]bool{text: true}, time.Now()
		case !known:
			r.description[text] = true
		}
	case 1: // disable it, or enable it
		_, made, known := h.change(n, "PATCH", r.path(), fmt.Sprintf(`{"disabled":%t}`, !r.disabled))
		r.unsure = !known
		if made {
			r.disabled, r.changed = !r.disabled, time.Now()
		}
	case 2: // delete it
		_, made, known := h.change(n, "DELETE", r.path(), "")
		if made {
			h.bury(dead{what: r.name + ", deleted", authorization: r.login})
			h.end(r, "deleted")
			return false
		}
		r.unsure = !known
	case 3: // revoke its tokens
		if _, made, _ := h.change(n, "POST", "/revocations", fmt.Sprintf(`{"principal":"robot:%s"}`, r.name)); made {
			r.changed = time.Now()
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
	begun := time.Now()
	if token := n.token(r.login); token != "" {
		if status := n.use(token); status == http.StatusUnauthorized && n.knows(begun.Add(-settled)) {
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
		if d.what == "" || !n.knows(d.since) || h.restores.undid(d.since, d.since) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		h.looks.Add(1)
		start := time.Now()
		if n.letIn(&d) && n.knows(start.Add(-settled)) && !h.restores.undid(d.since, d.since) {
			h.t.Errorf("%s %s ago, is alive on %s", d.what, time.Since(d.since), n.url)
		}
	}
}

func counterPath(i int) string { return fmt.Sprint("/robots/counter-", i) }

func countTo(n int64) string { return described(fmt.Sprint(n)) }

// read returns how far a counter is, and its ETag.
func (n *node) read(i int) (count int64, etag string) {
	a := n.api("GET", counterPath(i), "")
	var answer struct{ Description string }
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &answer) != nil {
		return 0, ""
	}
	_, _ = fmt.Sscan(answer.Description, &count)
	return count, a.etag
}

// counter is how far one must be.
type counter struct{ acknowledged, unknown atomic.Int64 }

// bounds are between what a counter must be.
func (c *counter) bounds() (least, most int64) {
	least = c.acknowledged.Load()
	return least, least + c.unknown.Load()
}

// count counts up, each time from what was read or answered last.
func (h *history) count(ctx context.Context) {
	for ctx.Err() == nil {
		i, n := rand.IntN(counters), h.any()
		at, etag := n.read(i)
		for etag != "" && ctx.Err() == nil {
			h.counting.RLock()
			a := h.any().api("PUT", counterPath(i), countTo(at+1), "If-Match", etag)
			made, known := a.made()
			if made {
				h.counts.Add(1)
				h.counted[i].acknowledged.Add(1)
			}
			if !known {
				h.counted[i].unknown.Add(1)
			}
			h.counting.RUnlock()
			if !made {
				time.Sleep(10 * time.Millisecond)
				break
			}
			at, etag = at+1, a.etag
		}
	}
}

// settle waits until all gateways know everything.
func (h *history) settle() {
	begun := time.Now()
	for _, n := range h.nodes {
		for !n.knows(begun) && time.Since(begun) < time.Minute {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// finally compares what is there with what was acknowledged.
func (h *history) finally() {
	for _, n := range h.nodes {
		for i := range counters {
			at, _ := n.read(i)
			if least, most := h.counted[i].bounds(); at < least || at > most {
				h.t.Errorf("counter %d is %d on %s, want %d to %d", i, at, n.url, least, most)
			}
		}
		for i := range h.dead {
			d := &h.dead[i]
			if h.restores.undid(d.since, d.since) {
				continue
			}
			if h.looks.Add(1); n.letIn(d) {
				h.t.Errorf("%s, is alive on %s in the end", d.what, n.url)
			}
		}
		for _, r := range h.kept {
			if h.unsure(r) {
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
