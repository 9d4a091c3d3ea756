package clients

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

const (
	// slowTokens is how long tokens last, slowLeeway how long they are
	// accepted after that, as Distribution does.
	slowTokens = 10 * time.Second
	slowLeeway = 60 * time.Second
	// slowUpload is how long the upload of a layer of slowLayer bytes takes.
	slowUpload = slowTokens + slowLeeway + 12*time.Second
	slowLayer  = 8 << 20
)

// TestSlowUpload pushes a layer for longer than a token is accepted. Clients
// that do not get a new one in between finish nevertheless, and clients that
// do, do.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	s := startPolicyStage(t, stage.Options{Token: "lifetime 10s"})
	t.Run("clients", func(t *testing.T) {
		t.Run("one token", func(t *testing.T) {
			t.Parallel()
			slowWithOneToken(t, s)
		})
		t.Run("docker", func(t *testing.T) {
			e := needEngines(t)
			t.Parallel()
			sh := newShell(t, s, "DOCKER_HOST="+e.DockerHost())
			sh.timeout = slowUpload + commandTimeout
			sh.addr = throttle(t, s.Addr)
			slowPush(t, s, "docker", &docker{sh})
		})
	})
}

// slowPush pushes an image through a slow line and reads it back.
func slowPush(t *testing.T, s *stage.Stage, name string, client tool) {
	p := &player{T: t, stage: s, client: client, name: name}
	repository := "team-a/slow-" + name
	p.login("bob", "pub/app")
	content := make([]byte, slowLayer/2)
	_, _ = rand.Read(content)
	content = []byte(hex.EncodeToString(content)) // half of it is left once compressed
	p.must("make an image", client.Make(repository, firstTag, content))
	start := time.Now()
	p.must("push", client.Push(repository, firstTag))
	if took := time.Since(start); took < slowTokens+slowLeeway {
		t.Errorf("it took %s only", took)
	}
	t.Logf("%s", time.Since(start))
	p.sameUpstream(repository, content)
}

// slowWithOneToken uploads a layer in two pieces with one token. The second
// begins when the token is not accepted for anything else any more.
func slowWithOneToken(t *testing.T, s *stage.Stage) {
	token, err := s.Token(t.Context(), "bob", "repository:team-a/slow:pull,push")
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, slowLayer)
	_, _ = rand.Read(content)
	send := func(method, target string, body io.Reader, size int64) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, target, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/octet-stream")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	next := func(res *http.Response, want int) string {
		t.Helper()
		location, err := res.Location()
		if res.StatusCode != want || err != nil {
			t.Fatalf("status %d, want %d, %v", res.StatusCode, want, err)
		}
		return location.String()
	}
	location := next(send(http.MethodPost, s.URL+"/v2/team-a/slow/blobs/uploads/", http.NoBody, 0), http.StatusAccepted)
	slow := &slowReader{Reader: bytes.NewReader(content), pace: slowly(t.Context(), slowUpload, slowLayer)}
	location = next(send(http.MethodPatch, location, slow, slowLayer), http.StatusAccepted)
	if status, _ := upload(t, s, token, "team-a/slow"); status != http.StatusUnauthorized {
		t.Errorf("the token still opens uploads: %d", status)
	}
	other := strings.Replace(location, "/team-a/slow/", "/team-a/other/", 1)
	if res := send(http.MethodPut, other+"&digest="+upstream.Digest(content), http.NoBody, 0); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("it goes on in another repository: %d", res.StatusCode)
	}
	next(send(http.MethodPut, location+"&digest="+upstream.Digest(content), http.NoBody, 0), http.StatusCreated)
	if _, err := s.Direct.Blob(t.Context(), "team-a/slow", upstream.Digest(content)); err != nil {
		t.Error(err)
	}
}

// slowReader is read at a pace.
type slowReader struct {
	io.Reader
	pace func(n int)
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), 16<<10)])
	r.pace(n)
	return n, err
}

// throttle is a line to the gateway on which the large bodies that clients
// send take their time. It returns its address.
func throttle(t *testing.T, gateway string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	// What a client sends for one image is about half a layer.
	pace := slowly(ctx, slowUpload, slowLayer/2)
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := relay(from, gateway, pace); err != nil {
					fmt.Fprintln(os.Stderr, "throttle:", err)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func relay(from net.Conn, gateway string, pace func(int)) error {
	defer from.Close()
	to, err := net.Dial("tcp", gateway)
	if err != nil {
		return err
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(from, to)
		from.Close()
	}()
	_, _ = io.Copy(to, &slowReader{Reader: from, pace: pace})
	return nil
}
