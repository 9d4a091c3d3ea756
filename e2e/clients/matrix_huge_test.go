package clients

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// huge plays the cells of huge input. Once that has been seen, it takes no more
// memory, however often it comes.
func (m *matrix) huge(name string, rows []*row, g *gateway.Gateway) {
	m.t.Run("huge, "+name, func(t *testing.T) {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) { r.play(t, hugeInput) })
		}
		flood := func() int64 {
			for range 2 {
				rows[0].flood(t, rows[0].turns[hugeInput](t).shown[0], failureMatrix[rows[0].name][hugeInput].status)
				rows[0].hugeForm(t)
			}
			size, err := g.RSS()
			if err != nil {
				t.Fatal(err)
			}
			return size
		}
		before := flood()
		if after := flood(); after-before > maxGrowth {
			t.Errorf("memory grew from %d to %d bytes", before, after)
		} else {
			t.Logf("memory: %d MiB, then %d MiB", before>>20, after>>20)
		}
	})
}

// hugeForm posts 1 MB to the token endpoint.
func (r *row) hugeForm(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/token",
		strings.NewReader("grant_type=password&service="+stage.Service+"&client_id=x&username=alice&password="+megabyte))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client, err := r.httpClient("")
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge && res.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of 1 MB is answered %s", res.Status)
	}
}

// flood shows the same several times at once.
func (r *row) flood(t *testing.T, v visitor, want int) {
	t.Helper()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got := r.knock(t, v); got.status != want {
				t.Errorf("one of several is answered %d, want %d: %.300s", got.status, want, got.body)
			}
		})
	}
	all.Wait()
}
