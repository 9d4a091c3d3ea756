package faults

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// TestProcess does to the gateway's process what operators and machines do.
func TestProcess(t *testing.T) {
	r := newRegistry(t)
	n := configure(t, r, "", "")
	n.start(t)
	const large = 100 << 20
	rounds(t, func(t *testing.T) {
		u := newUsers(t, "the gateway's process", r, nil, n)
		arrived := func(c *check, size int, up <-chan reply, may ...int) {
			c.Helper()
			a := <-up
			if a.status == http.StatusCreated {
				if !r.hasBlob(digest(size)) {
					c.Errorf("an upload was acknowledged and is lost")
				}
				return
			}
			for _, status := range may {
				if a.status == status {
					return
				}
			}
			c.Errorf("an upload: %d %s %v", a.status, a.body, a.err)
		}
		again := func(c *check) { must(c, n.Restart(c.Context(), n.config)) }

		suffer(t, u, fault{name: "killed again and again", refuses: everybody(gone, 502, 503), felt: true, within: time.Second, during: func(c *check) {
			for range 3 {
				up := upload(n, u.token, 8<<20, time.Second)
				time.Sleep(300*time.Millisecond + rand.N(400*time.Millisecond))
				n.Kill()
				arrived(c, 8<<20, up, gone)
				again(c)
			}
		}})
		suffer(t, u, fault{name: "reloaded each second, under pushes of 100 MB", grows: 128 << 20, during: func(c *check) {
			ups := []<-chan reply{upload(n, u.token, large, 4*time.Second), upload(n, u.stored, large, 4*time.Second)}
			for range 4 {
				must(c, n.Reload(c.Context(), n.config))
				time.Sleep(700 * time.Millisecond)
			}
			for _, up := range ups {
				arrived(c, large, up)
			}
		}})
		suffer(t, u, fault{name: "told to end, with uploads under way", refuses: everybody(gone, 503), felt: true, within: time.Second, during: func(c *check) {
			short, long := upload(n, u.token, 2<<20, 2*time.Second), upload(n, u.token, 3<<20, 12*time.Second)
			time.Sleep(500 * time.Millisecond)
			told := time.Now()
			must(c, n.Signal(leave))
			arrived(c, 2<<20, short)
			<-n.Ended()
			if took := time.Since(told); took > slack(5*time.Second) { // the grace period is three
				c.Errorf("it ended after %s", took)
			}
			if a := <-long; a.status == http.StatusCreated {
				c.Errorf("an upload was acknowledged that cannot have arrived")
			}
		}, end: again})
		suffer(t, u, fault{name: "paused", felt: true, begin: try(func() error { return n.Signal(stop) }), end: try(func() error { return n.Signal(goOn) })})
	})
}
