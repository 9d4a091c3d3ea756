package faults

import (
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// TestUpstream takes the registry away that stands behind the gateway.
func TestUpstream(t *testing.T) {
	r := newRegistry(t)
	n := configure(t, r, "", "")
	n.start(t)
	rounds(t, func(t *testing.T) {
		u := newUsers(t, "the registry behind", r, nil, n)
		reaches := func(statuses ...int) map[kind][]int {
			return map[kind][]int{pullByToken: statuses, pullBySecret: statuses, push: statuses}
		}
		answers := func(h http.HandlerFunc) func(*check) { return func(*check) { r.breakWith(h) } }
		for _, f := range []fault{
			{
				name: "registry absent", begin: r.line.cut, end: r.line.mend, refuses: reaches(502),
				during: func(c *check) {
					time.Sleep(lasts(2 * time.Second))
					a := n.send("GET", manifest, u.token, "")
					if a.header.Get("Retry-After") == "" {
						c.Errorf("%d without Retry-After: %s", a.status, a.body)
					}
				},
			},
			{name: "registry silent", begin: r.line.sleep, end: r.line.wake, refuses: reaches(502)},
			{name: "registry slow", begin: answers(func(w http.ResponseWriter, q *http.Request) {
				time.Sleep(time.Second)
				r.serveWell(w, q)
			})},
			{name: "registry resets", begin: answers(func(w http.ResponseWriter, q *http.Request) {
				if q.Method == http.MethodGet && r.uploads.Add(1)%2 == 0 { // in the middle of its answer
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
					_, _ = w.Write(content[:len(content)/2])
					_ = http.NewResponseController(w).Flush()
				}
				reset(w)
			}), refuses: reaches(502, gone)},
			{name: "registry answers garbage", begin: answers(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					_, _ = conn.Write([]byte("\x16\x03\x01 this is no HTTP\r\n\r\n"))
					conn.Close()
				}
			}), refuses: reaches(502)},
			{name: "registry wants a login", begin: answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://elsewhere.test/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			}), refuses: reaches(502)},
		} {
			f.felt, f.within, f.measures = true, time.Second, []kind{fetchToken}
			if f.end == nil {
				f.end = answers(nil)
			}
			suffer(t, u, f)
		}
	})
}

// reset ends a connection as a crash would.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}
