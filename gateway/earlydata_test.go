package gateway

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestEarlyDataOfOurOwnConnections: what came before the handshake was over
// may be a replay, so it changes nothing, at whichever door.
func TestEarlyDataOfOurOwnConnections(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PURGE"} {
		for name, door := range map[string]func(*http.Request) error{"AdmitRoute": AdmitRoute, "AdmitActor": AdmitActor} {
			for _, complete := range []bool{true, false} {
				r := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
				r.TLS = &tls.ConnectionState{HandshakeComplete: complete}
				want := 0
				if !complete && method != "GET" && method != "HEAD" {
					want = http.StatusTooEarly
				}
				got := 0
				if err := door(r); err != nil {
					got = AdmissionAnswer(err).Status
				}
				if got != want {
					t.Errorf("%s, %s, handshake complete %v: %d, want %d", name, method, complete, got, want)
				}
			}
		}
	}
}
