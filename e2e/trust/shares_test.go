package trust

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// from is a client that calls from an address of this machine.
func from(t *testing.T, address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestStrangersLeaveCodesForOthers: 101 addresses took all places of logins
// that wait, for everybody.
func TestStrangersLeaveCodesForOthers(t *testing.T) {
	s := newSignInScene(t, "URL")
	s.signedIn(s.own, own, "alice", "s1") // from 127.0.0.1
	ask := func(c *http.Client) int {
		res, err := c.PostForm(s.URL+"/auth/device/code", url.Values{"client_id": {"x"}})
		if err != nil {
			t.Error(err)
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	var given atomic.Int64
	var all sync.WaitGroup
	for i := range 102 {
		all.Go(func() {
			c := from(t, fmt.Sprintf("127.1.%d.%d", i/10, i%10+1))
			for range 20 {
				if ask(c) == http.StatusOK {
					given.Add(1)
				}
			}
		})
	}
	all.Wait()
	if given.Load() < 1900 {
		t.Fatalf("the strangers got %d codes", given.Load())
	}
	for who, address := range map[string]string{"another network": "127.2.0.1", "who is signed in": "127.0.0.1"} {
		if status := ask(from(t, address)); status != http.StatusOK {
			t.Errorf("%s: %d", who, status)
		}
	}
}

// TestOnePersonHasSoManySessions: signing in again and again ends the sessions
// that were used longest ago, and nobody else's.
func TestOnePersonHasSoManySessions(t *testing.T) {
	s := newSignInScene(t, "URL")
	bob := s.signedIn(s.own, own, "bob", "b")
	var tabs []*tab
	for i := range 40 {
		tabs = append(tabs, s.signedIn(s.own, own, "alice", fmt.Sprint(i)))
	}
	last := 0
	for _, b := range tabs {
		if b.lasts() {
			last++
		}
	}
	if last != 30 || !tabs[39].lasts() || !bob.lasts() {
		t.Errorf("%d of alice's sessions are good", last)
	}
	if _, text := tabs[39].send("GET", "/auth/sessions", ""); strings.Count(text, "/auth/sessions/end") > 31 {
		t.Error("the page shows more")
	}
}
