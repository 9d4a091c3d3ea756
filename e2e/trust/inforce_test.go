package trust

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What was true when the head of a request came may have ended before its
// body has: these tests end it in between.

// guarded is a realm in which some may only make new tags, and others move them.
const guarded = `http://ADDR {
	registry_auth {
		service registry
		management {
			api_key test {env.ADMIN_KEY}
		}
		project team/** {
			developer robot:lead
			allow pull push robot:ci
			allow delete robot:sweeper
			immutable v*
		}
	}
	reverse_proxy UPSTREAM
}`

const manifestText = `{"schemaVersion":2,"mediaType":"` + typeManifest + `","config":{"digest":"sha256:0"}}`

// tagged is a registry that knows tags and nothing else. Before it answers
// whether a tag exists it calls asked, and before it answers with the list of
// tags it calls listed.
type tagged struct {
	mu            sync.Mutex
	tags          map[string]string // the digests they point at
	pushed        []string          // the tags of pushes, in their order
	deleted       []string          // what was deleted
	asked, listed func(tag string)
}

func (r *tagged) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, last, _ := strings.Cut(req.URL.Path, "/manifests/")
	switch {
	case strings.HasSuffix(req.URL.Path, "/tags/list"):
		r.mu.Lock()
		var names []string
		for tag := range r.tags {
			names = append(names, `"`+tag+`"`)
		}
		r.mu.Unlock()
		if r.listed != nil {
			r.listed("")
		}
		_, _ = fmt.Fprintf(w, `{"name":"team/app","tags":[%s]}`, strings.Join(names, ","))
	case last == "":
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodHead || req.Method == http.MethodGet:
		r.mu.Lock()
		digest, ok := r.tags[last]
		r.mu.Unlock()
		if r.asked != nil {
			r.asked(last)
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Type", typeManifest)
		if req.Method == http.MethodGet {
			_, _ = io.WriteString(w, manifestText)
		}
	case req.Method == http.MethodPut:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.tags[last] = "sha256:" + fmt.Sprintf("%064x", len(body))
		r.pushed = append(r.pushed, last)
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	case req.Method == http.MethodDelete:
		r.mu.Lock()
		for tag, digest := range r.tags {
			if digest == last {
				delete(r.tags, tag)
			}
		}
		r.deleted = append(r.deleted, last)
		r.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}
}

func (r *tagged) changes() (pushed, deleted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushed, r.deleted
}

// during starts a guarded scene whose robots may do what its rules say.
func during(t *testing.T, r *tagged) *scene {
	t.Helper()
	if r.tags == nil {
		r.tags = map[string]string{}
	}
	return start(t, guarded, r.ServeHTTP)
}

// ends are the ways in which what a robot may do comes to its end.
var ends = []struct {
	name, method, path, body string
	status                   int // that the push is answered with
}{
	{"deleted", "DELETE", "/robots/ci", "", 401},
	{"disabled", "PATCH", "/robots/ci", `{"disabled":true}`, 401},
	{"its secret replaced", "POST", "/robots/ci/rotate", `{"overlap_seconds":0}`, 401},
	{"read-only", "PUT", "/read-only", `{"read_only":true}`, 403},
}

// TestWhatEndedDuringAPushStopsIt: a manifest does not reach the registry if
// its sender's right ends while the registry is asked about the tag.
func TestWhatEndedDuringAPushStopsIt(t *testing.T) {
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			var once sync.Once
			r := &tagged{}
			s := during(t, r)
			secret := s.madeRobot("ci", `{}`)
			r.asked = func(string) {
				once.Do(func() { s.callStatus(end.method, api+end.path, end.body, asAdmin, jsonBody) })
			}
			s.wants(end.status, "PUT", "/v2/team/app/manifests/v1", manifestText, basic("robot$ci", secret), "Content-Type: "+typeManifest)
			if pushed, _ := r.changes(); len(pushed) > 0 {
				t.Error("the registry got the manifest")
			}
		})
	}
	t.Run("its token revoked", func(t *testing.T) {
		var once sync.Once
		r := &tagged{}
		s := during(t, r)
		token := s.tokenFor("repository:team/app:pull,push", basic("robot$ci", s.madeRobot("ci", `{}`)))
		r.asked = func(string) {
			once.Do(func() { s.callStatus("POST", api+"/revocations", `{"principal":"robot:ci"}`, asAdmin, jsonBody) })
		}
		time.Sleep(1100 * time.Millisecond) // dates of issue have seconds
		s.wants(401, "PUT", "/v2/team/app/manifests/v1", manifestText, bearer(token), "Content-Type: "+typeManifest)
		if pushed, _ := r.changes(); len(pushed) > 0 {
			t.Error("the registry got the manifest")
		}
	})
}

// callStatus is call for other goroutines than the test's.
func (s *scene) callStatus(method, path, body string, headers ...string) int {
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	_ = res.Body.Close()
	if path != "" && strings.HasPrefix(path, api) && res.StatusCode >= 300 {
		s.t.Errorf("%s %s: %s", method, path, res.Status)
	}
	return res.StatusCode
}

// TestNewTagIsNotPushedOverARelease: who may only make new tags does not move
// one that somebody else, who may, has pushed in between.
func TestNewTagIsNotPushedOverARelease(t *testing.T) {
	for _, tag := range []string{"v1", "edge"} {
		t.Run(tag, func(t *testing.T) {
			r := &tagged{}
			s := during(t, r)
			ci, lead := s.madeRobot("ci", `{}`), s.madeRobot("lead", `{}`)
			var once sync.Once
			release := make(chan int, 1)
			r.asked = func(string) {
				once.Do(func() {
					go func() {
						release <- s.callStatus("PUT", "/v2/team/app/manifests/"+tag, manifestText+" ", basic("robot$lead", lead), "Content-Type: "+typeManifest)
					}()
					time.Sleep(500 * time.Millisecond)
				})
			}
			res, _ := s.call("PUT", "/v2/team/app/manifests/"+tag, manifestText, basic("robot$ci", ci), "Content-Type: "+typeManifest)
			other := <-release
			pushed, _ := r.changes()
			if len(pushed) == 2 && pushed[0] == tag && r.tags[tag] == fmt.Sprintf("sha256:%064x", len(manifestText)) {
				t.Errorf("the release (%d) was overwritten (%s)", other, res.Status)
			}
			if res.StatusCode != http.StatusCreated && other != http.StatusCreated {
				t.Errorf("neither was pushed: %s, %d", res.Status, other)
			}
		})
	}
}

// TestDeletionTakesNoTagPushedMeanwhile: a deletion by digest that asks many
// tags does not take an immutable one along that was pushed while it asked.
func TestDeletionTakesNoTagPushedMeanwhile(t *testing.T) {
	digest := fmt.Sprintf("sha256:%064x", len(manifestText))
	r := &tagged{tags: map[string]string{}}
	for i := range 40 {
		r.tags[fmt.Sprint("t", i)] = "sha256:" + strings.Repeat("b", 64)
	}
	s := during(t, r)
	lead, sweeper := s.madeRobot("lead", `{}`), s.madeRobot("sweeper", `{}`)
	var n atomic.Int32
	r.asked = func(string) {
		if n.Add(1) == 20 {
			done := make(chan int, 1)
			go func() {
				done <- s.callStatus("PUT", "/v2/team/app/manifests/v1", manifestText, basic("robot$lead", lead), "Content-Type: "+typeManifest)
			}()
			select {
			case <-done:
			case <-time.After(2 * time.Second): // it may have to wait
			}
		}
	}
	res, _ := s.call("DELETE", "/v2/team/app/manifests/"+digest, "", basic("robot$sweeper", sweeper))
	_, deleted := r.changes()
	if len(deleted) > 0 || res.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("%s, deleted %v", res.Status, deleted)
	}
}

// piecewise is a registry that tells what of an upload has come.
type piecewise struct {
	*httptest.Server
	got  atomic.Int64
	done chan error // what became of the request's body
}

func newPiecewise(t *testing.T) *piecewise {
	p := &piecewise{done: make(chan error, 10)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			p.got.Add(int64(n))
			if err == io.EOF {
				p.done <- nil
				w.WriteHeader(http.StatusAccepted)
				return
			}
			if err != nil {
				p.done <- err
				return
			}
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// upload is an upload under way, of which the test sends the body.
type upload struct {
	t    *testing.T
	conn net.Conn
}

func (s *scene) upload(method, path, length, authorization string) *upload {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr, 5*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n", method, path, s.Addr, authorization, length)
	return &upload{s.t, conn}
}

func (u *upload) send(text string) {
	u.t.Helper()
	_, _ = io.WriteString(u.conn, text) // what the gateway does with it is seen elsewhere
}

func (u *upload) status() int {
	u.t.Helper()
	_ = u.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(u.conn), nil)
	if err != nil {
		u.t.Errorf("no answer: %v", err)
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestUploadEndsWithItsSender: what is sent of a blob after its sender's right
// has ended does not complete it, however the upload is framed.
func TestUploadEndsWithItsSender(t *testing.T) {
	digest := "?digest=sha256:" + strings.Repeat("a", 64)
	const sized, chunked = "Content-Length: 20", "Transfer-Encoding: chunked"
	for _, x := range []struct {
		method, path, framing string
		ends                  int
	}{
		{"PATCH", "u1", sized, len(ends)},
		{"PATCH", "u1", chunked, 1},
		{"PUT", "u1" + digest, sized, 1},
		{"PUT", "u1" + digest, chunked, 1},
		{"POST", digest, sized, 1},
	} {
		for _, end := range ends[:x.ends] {
			t.Run(x.method+", "+x.framing+", "+end.name, func(t *testing.T) {
				behind := newPiecewise(t)
				s := start(t, strings.Replace(guarded, "UPSTREAM", strings.TrimPrefix(behind.URL, "http://"), 1), nil)
				secret := s.madeRobot("ci", `{}`)
				u := s.upload(x.method, "/v2/team/app/blobs/uploads/"+x.path, x.framing, basic("robot$ci", secret))
				first, last := "0123456789", "abcdefghij"
				if x.framing == chunked {
					first, last = "a\r\n"+first+"\r\n", "a\r\n"+last+"\r\n0\r\n\r\n"
				}
				u.send(first)
				for limit := time.Now().Add(5 * time.Second); behind.got.Load() < 10; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(limit) {
						t.Fatal("the upload does not stream")
					}
				}
				s.callStatus(end.method, api+end.path, end.body, asAdmin, jsonBody)
				u.send(last)
				if got := u.status(); got != end.status {
					t.Errorf("answered with %d, want %d", got, end.status)
				}
				select {
				case err := <-behind.done:
					if err == nil {
						t.Error("the registry got all of it")
					}
				case <-time.After(5 * time.Second):
					t.Error("the registry waits for more")
				}
			})
		}
	}
}
