package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
)

// FreePort returns a TCP port that nobody listens on, on any address. It is
// below those that the kernel gives to outgoing connections: one of these may
// take the port between this call and the start of the program that wants it.
func FreePort() (int, error) {
	const first, ports = 15000, 15000
	var lc net.ListenConfig
	var last error
	for range 100 {
		port := first + rand.IntN(ports)
		l, err := lc.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// Answers returns a check for [Process.Ready]: url answers with a status that
// is not 503, which a starting server may use to ask for patience.
func Answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable {
			return fmt.Errorf("%s answers %s", url, res.Status)
		}
		return nil
	}
}
