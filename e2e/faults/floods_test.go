package faults

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// floods are what strangers send, and how much of it. A round in CI sends for
// a few seconds, a soak all of it.
type floods struct {
	n       *node
	sources []*http.Client // by address, of which the first has all
	memory  int64          // what the gateway remembered before all floods
	sent    atomic.Int64   // how much the last one was
}

// alice has a password with a slow hash; it is right.
var alice = stage.Basic(stage.LocalUser, stage.LocalPassword)

func newFloods(t *testing.T, r *registry) (*floods, *provider) {
	t.Helper()
	p := newProvider(t)
	lines := p.lines() + `
		local {
			prefix local-
			user alice {env.HASH_ALICE}
		}
		project team/flooded/** {
			guest user:local-alice
		}`
	f := &floods{n: configure(t, r, "", lines, "HASH_ALICE="+stage.LocalHash, withSecret)}
	f.n.config.Global += "	servers {\n		protocols h1 h2 h2c\n	}\n"
	for i := range 200 {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}}
		f.sources = append(f.sources, &http.Client{
			Timeout:       10 * time.Second,
			Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4, MaxConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		})
	}
	f.n.start(t)
	return f, p
}

// flood sends at a rate, whether it is answered or not, until the time or the
// number is reached. What is answered must be one of some statuses.
func (f *floods) flood(rate, total, addresses int, request func(i int) *http.Request, statuses ...int) func(*check) {
	return func(c *check) {
		limit := 3 * time.Second
		if *soak > 0 {
			limit = time.Duration(total) * time.Second / time.Duration(rate)
		}
		var all sync.WaitGroup
		defer all.Wait()
		places := make(chan struct{}, 256) // who floods has bounds, too
		answered := map[int]int{}
		var mu sync.Mutex
		begin := time.Now()
		for i := 0; i < total; i++ {
			due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
			if due.Sub(begin) > limit {
				break
			}
			time.Sleep(time.Until(due))
			places <- struct{}{}
			all.Go(func() {
				status := 0
				f.sent.Add(1)
				res, err := f.sources[i%addresses].Do(request(i))
				if err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					status = res.StatusCode
				}
				mu.Lock()
				answered[status]++
				mu.Unlock()
				<-places
			})
		}
		all.Wait()
		c.Logf("answered: %v", answered)
		for status, n := range answered {
			known := false
			for _, s := range statuses {
				known = known || s == status
			}
			if !known {
				c.Errorf("%d of the flood are answered %d", n, status)
			}
		}
	}
}

func (f *floods) get(path string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, f.n.URL+path, nil)
	if err != nil {
		panic(err) // of a path that is written here
	}
	return r
}

func (f *floods) guess(i int) *http.Request {
	r := f.get(manifest)
	r.SetBasicAuth(stage.LocalUser, fmt.Sprint("guess-", i, rand.Text()))
	return r
}

func (f *floods) stranger(i int) *http.Request {
	r := f.get(manifest)
	r.SetBasicAuth(fmt.Sprint("nobody-", i), rand.Text())
	return r
}

func (f *floods) device(int) *http.Request {
	r, err := http.NewRequest(http.MethodPost, f.n.URL+"/auth/device/code", strings.NewReader(url.Values{"client_id": {"docker"}, "client_name": {"a stranger"}}.Encode()))
	if err != nil {
		panic(err) // of a path that is written here
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (f *floods) signIn(int) *http.Request {
	r := f.get("/auth/sign-in?return_to=/auth/")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Accept", "text/html")
	return r
}

func (f *floods) scopes(i int) *http.Request {
	form := url.Values{"service": {stage.Service}, "grant_type": {"password"}, "client_id": {"flood"}, "username": {"robot$ci"}, "password": {robotSecret}}
	for j := range 1500 {
		form.Add("scope", fmt.Sprintf("repository:team/a%d-%d:pull", i, j))
	}
	r, err := http.NewRequest(http.MethodPost, f.n.URL+"/v2/token", strings.NewReader(form.Encode()))
	if err != nil {
		panic(err) // of a path that is written here
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (f *floods) header(int) *http.Request {
	r := f.get(manifest)
	r.Header.Set("Authorization", "Bearer "+megabyte)
	return r
}

var megabyte = strings.Repeat("x", 1<<20)

// TestFloods lets strangers ask for more than their share. Nobody else is
// refused anything or waits for long, and what is remembered is bounded.
func TestFloods(t *testing.T) {
	r := newRegistry(t)
	f, p := newFloods(t, r)
	var names []string
	rounds(t, func(t *testing.T) {
		u := newUsers(t, "strangers", r, p.token, f.n)
		if a := f.n.send("GET", "/v2/", alice, ""); a.status != http.StatusOK {
			t.Fatalf("alice: %d %s %v", a.status, a.body, a.err)
		}
		for _, flood := range []struct {
			name   string
			during func(*check)
		}{
			{"1,000 wrong passwords a second from one address", f.flood(1000, 10_000, 1, f.guess, 401, 429)},
			{"1,000 wrong passwords a second from 200 addresses", f.flood(1000, 10_000, 200, f.guess, 401, 429)},
			{"10,000 unknown users", f.flood(1000, 10_000, 200, f.stranger, 401, 429)},
			{"10,000 device logins begun", f.flood(1000, 10_000, 200, f.device, 200, 429)},
			{"50,000 sign-ins begun", f.flood(1000, 50_000, 200, f.signIn, 302, 303, 429)},
			{"thousands of scopes", f.flood(50, 500, 200, f.scopes, 200, 400, 413, 414)},
			{"headers of 1 MB", f.flood(100, 1000, 200, f.header, gone, 431)},
			{"2,000 idle connections", f.idle},
			{"HTTP/2 resets", f.resets},
		} {
			names = append(names, flood.name)
			f.suffer(t, u, flood.name, flood.during)
		}
	})
	if *soak == 0 {
		return
	}
	for _, name := range names {
		if before, now := median(results.before[name]), median(results.p99[name]); now > 2*before {
			t.Errorf("%s: the p99 of users is %s, %s without", name, now, before)
		}
	}
}

// suffer is a flood as a fault, during which alice is let in, and after which
// the gateway remembers little.
func (f *floods) suffer(t *testing.T, u *users, name string, during func(*check)) {
	t.Helper()
	heap := func(c *check) int64 {
		size, err := f.n.Heap(c.Context())
		must(c, err)
		return size
	}
	if f.memory == 0 {
		f.memory = heap(&check{T: t})
	}
	suffer(t, u, fault{name: name, within: time.Second, during: func(c *check) {
		f.sent.Store(0)
		before, err := f.n.CPU()
		must(c, err)
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			during(c)
		}()
		for waiting := true; waiting; {
			select {
			case <-done:
				waiting = false
			case <-time.After(500 * time.Millisecond):
			}
			// She shows the right password.
			if a := f.n.send("GET", "/v2/", alice, ""); a.status != http.StatusOK {
				c.Errorf("alice: %d %s %v", a.status, a.body, a.err)
			}
		}
		after, err := f.n.CPU()
		must(c, err)
		// How long users wait depends on what else the machine does. What a
		// stranger's request costs does not; users cost something, too.
		spent, took, sent := after-before, time.Since(begin), f.sent.Load()
		c.Logf("%d requests in %s cost %s of the gateway", sent, took.Round(time.Millisecond), spent)
		if most := took/2 + time.Duration(sent)*4*time.Millisecond; spent > slack(most)/2 {
			c.Errorf("%d requests cost the gateway %s of a processor, want at most %s", sent, spent, most)
		}
	}})
	c := &check{T: t, fault: name}
	if left := heap(c) - f.memory; left > 48<<20 {
		c.Errorf("%s: the gateway remembers %d MiB more than before all floods", name, left>>20)
	}
}

// idle holds many connections open that send nothing, and as many again that
// never end their headers.
func (f *floods) idle(c *check) {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for i := range 2000 {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(c.Context(), "tcp", f.n.Addr)
		if err != nil {
			c.Errorf("connection %d: %v", i, err)
			return
		}
		f.sent.Add(1)
		open = append(open, conn)
		if i%2 == 1 {
			fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\nX-Slow: ", f.n.Addr)
		}
	}
	time.Sleep(lasts(2 * time.Second))
}

// resets begins requests of HTTP/2 and takes each back at once.
func (f *floods) resets(c *check) {
	ctx, cancel := context.WithTimeout(c.Context(), lasts(3*time.Second))
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				n, err := rapidReset(ctx, f.n.Addr)
				f.sent.Add(int64(n))
				if n == 0 && err != nil && ctx.Err() == nil {
					c.Errorf("HTTP/2: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// rapidReset does so on one connection until that is closed, some thousands in a
// second, and returns how many requests it has sent.
func rapidReset(ctx context.Context, addr string) (sent int, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}
		return append(head, payload...)
	}
	// :method GET and :scheme http by their numbers in the static table, then
	// :path and :authority written out.
	fields := append([]byte{0x82, 0x86, 0x04, byte(len(manifest))}, manifest...)
	fields = append(append(fields, 0x01, byte(len(addr))), addr...)
	const settings, headers, rstStream = 4, 1, 3
	const endStream, endHeaders = 1, 4
	if _, err := conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, nil)...)); err != nil {
		return 0, err
	}
	for stream := uint32(1); ctx.Err() == nil; stream += 2 {
		pair := append(frame(headers, endStream|endHeaders, stream, fields), frame(rstStream, 0, stream, []byte{0, 0, 0, 8})...)
		if _, err := conn.Write(pair); err != nil {
			return sent, err
		}
		if sent++; sent%50 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return sent, nil
}
