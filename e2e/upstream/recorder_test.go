package upstream_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

func TestRegistriesThroughTheRecorder(t *testing.T) {
	for _, kind := range upstream.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			process.Need(t, kind.Program)
			registry, err := upstream.Start(t.Context(), kind, t.TempDir(), upstream.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { registry.Stop() })
			recorder, err := upstream.Record(registry.URL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { recorder.Close() })

			image, err := upstream.NewImage("file", []byte("content"))
			if err != nil {
				t.Fatal(err)
			}
			client := &upstream.Client{URL: recorder.URL}
			mark := recorder.Mark()
			if err := client.Push(t.Context(), "team/app", "x", image); err != nil {
				t.Fatal(err)
			}
			if got := len(recorder.Since(mark)); got != 5 {
				t.Errorf("the recorder saw %d requests of a push, want 5", got)
			}
			back, err := client.Pull(t.Context(), "team/app", "x")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Manifest, image.Manifest) {
				t.Errorf("manifest changed: %s", back.Manifest)
			}
			if content, err := back.File("file"); err != nil || string(content) != "content" {
				t.Errorf("file is %q, %v", content, err)
			}
		})
	}
}

func TestRecorderSeesTheWire(t *testing.T) {
	recorder, err := upstream.Record("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorder.Close() })
	recorder.Fake(func(w http.ResponseWriter, r *http.Request) {
		_, _ = bufio.NewReader(r.Body).ReadString(0)
		w.WriteHeader(http.StatusNoContent)
	})
	mark := recorder.Mark()
	conn, err := net.Dial("tcp", strings.TrimPrefix(recorder.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /a%2fb?q=1 HTTP/1.1\r\nHost: h\r\nX_a: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n0\r\nX-T: 2\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}
	seen := recorder.Since(mark)
	if len(seen) != 1 || seen[0].Target != "/a%2fb?q=1" || seen[0].Path != "/a/b" || seen[0].Host != "h" {
		t.Fatalf("saw %+v", seen)
	}
	if got := seen[0].Trailer.Get("X-T"); got != "2" {
		t.Errorf("trailer is %q", got)
	}
	if !bytes.Contains(recorder.Wire(), []byte("X_a: 1\r\n")) {
		t.Errorf("wire is %q", recorder.Wire())
	}
}
