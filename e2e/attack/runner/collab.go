package runner

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// collab is the attacker's own server: it has the attacker's key for whoever
// asks, and counts who does.
type collab struct {
	URL    string
	server *http.Server
	count  atomic.Int64
}

func startCollab(key *idp.Key) (*collab, error) {
	jwk, err := jose.JWK(key.Private.Public())
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collab{URL: "http://" + l.Addr().String()}
	c.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.count.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jose.Object{"keys": []jose.Object{jwk}, "groups": []string{"registry-admins"}})
	})}
	go func() { _ = c.server.Serve(l) }()
	return c, nil
}

func (c *collab) calls() int   { return int(c.count.Load()) }
func (c *collab) close() error { return c.server.Close() }
