package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestLasting: with one file, a reload and a restart log nobody out, and an
// upload goes on over a reload.
func TestLasting(t *testing.T) {
	direct := registry(t)
	n := configure(t, "", direct.URL, withKey)
	n.start(t)
	login := n.robot(t, "ci")
	token := n.token(t, login)
	reload := func(line string) {
		t.Helper()
		changed := n.config
		changed.Sites = strings.Replace(changed.Sites, "other_paths pass", "other_paths pass\n		"+line, 1)
		if err := n.Reload(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
	}

	// A pusher that the reload comes in between, and one in the middle of
	// whose body it comes.
	through := &upstream.Client{URL: n.URL, Authorization: token}
	open, err := through.OpenUpload(t.Context(), "team/app")
	if err != nil {
		t.Fatal(err)
	}
	blob := bytes.Repeat([]byte("in flight over a reload\n"), 1<<16)
	done, body := slowPush(t, through, blob)
	if _, err := body.Write(blob[:len(blob)/2]); err != nil {
		t.Fatal(err)
	}
	reload("anonymous_read public/**")
	n.want(t, "login after the reload", login, 200)
	n.want(t, "token after the reload", token, 200)
	reload("audit changes")
	if _, err := body.Write(blob[len(blob)/2:]); err != nil {
		t.Fatal(err)
	}
	body.Close()
	if status := <-done; status != http.StatusCreated {
		t.Errorf("the upload in flight: %d", status)
	}
	if got, err := direct.Blob(t.Context(), "team/app", upstream.Digest(blob)); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("the upload at the registry: %d bytes, %v", len(got), err)
	}
	q := open.Query()
	q.Set("digest", upstream.Digest([]byte("between")))
	open.RawQuery = q.Encode()
	if r := n.send(t.Context(), "PUT", open.RequestURI(), token, "between"); r.StatusCode != http.StatusCreated {
		t.Errorf("the upload that was begun before the reload: %d %s", r.StatusCode, r.body)
	}

	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	n.want(t, "login after the restart", login, 200)
	n.want(t, "token after the restart", token, 200)
}

// slowPush starts to send a blob whose body is written to what it returns.
func slowPush(t *testing.T, through *upstream.Client, blob []byte) (<-chan int, io.WriteCloser) {
	t.Helper()
	location, err := through.OpenUpload(t.Context(), "team/app")
	if err != nil {
		t.Fatal(err)
	}
	q := location.Query()
	q.Set("digest", upstream.Digest(blob))
	location.RawQuery = q.Encode()
	reader, writer := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, location.String(), reader)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(blob))
	req.Header.Set("Authorization", through.Authorization)
	done := make(chan int, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			reader.CloseWithError(err)
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	return done, writer
}

// enoughKilled is how many acknowledged changes show that none is lost.
const enoughKilled = 300

// TestKilled kills the gateway in the middle of many changes, several times:
// every change that was acknowledged is there, and what was taken away is not.
func TestKilled(t *testing.T) {
	n := configure(t, "", registry(t).URL, withKey)
	n.start(t)
	acknowledged := map[string]bool{} // by robot: whether it is there
	// A slow machine needs more rounds to get as far.
	for round := 0; round < 5 || len(acknowledged) < enoughKilled && round < 20; round++ {
		var mu sync.Mutex
		var all sync.WaitGroup
		for writer := range 16 {
			all.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("r%d-w%d-%d", round, writer, i)
					r := n.send(context.WithoutCancel(t.Context()), "PUT", "/auth/api/v1/robots/"+name, "Bearer "+adminKey, `{"permissions":[]}`)
					if r.StatusCode != http.StatusCreated {
						return // the gateway is gone
					}
					mu.Lock()
					acknowledged[name] = true
					mu.Unlock()
					if i%4 != 3 {
						continue
					}
					r = n.send(context.WithoutCancel(t.Context()), "DELETE", "/auth/api/v1/robots/"+name, "Bearer "+adminKey, "")
					mu.Lock()
					if delete(acknowledged, name); r.StatusCode == http.StatusNoContent {
						acknowledged[name] = false
					}
					mu.Unlock()
				}
			})
		}
		time.Sleep(300*time.Millisecond + rand.N(200*time.Millisecond))
		n.Kill()
		all.Wait()
		if err := n.Restart(t.Context(), n.config); err != nil {
			t.Fatal(err)
		}
		for name, there := range acknowledged {
			if got := n.send(t.Context(), "GET", "/auth/api/v1/robots/"+name, "Bearer "+adminKey, "").StatusCode; (got == 200) != there {
				t.Errorf("round %d: %s: %d, acknowledged as there: %t", round, name, got, there)
			}
		}
	}
	t.Logf("%d acknowledged changes", len(acknowledged))
	if len(acknowledged) < enoughKilled {
		t.Errorf("%d acknowledged changes are too few to show anything", len(acknowledged))
	}
}

// TestSecondProcess: of two gateways on one file the second says what is wrong,
// and takes over when the first has ended.
func TestSecondProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	upstream := registry(t)
	first, second := configure(t, "bolt "+file, upstream.URL, withKey), configure(t, "bolt "+file, upstream.URL, withKey)
	first.start(t)
	login := first.robot(t, "ci")
	second.launch(t)
	within(t, 15*time.Second, "the second says so", func() bool {
		return strings.Contains(strings.Join(second.Log.Since(0), "\n"), "store "+file+": the store is in use by another process")
	})
	first.want(t, "the first goes on", login, 200)
	if got := second.status(t, login); got != 503 {
		t.Errorf("the second in that time: %d", got)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	within(t, 15*time.Second, "the second takes over", func() bool { return second.status(t, login) == 200 })
}
