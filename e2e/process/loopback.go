package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
)

// Ports are taken from below the range that the kernel gives to outgoing
// connections: one of those may take a port between the call of FreePort and
// the start of the program that wants it.
const firstPort, ports = 15000, 15000

// reserved keeps the reservations for as long as this process lives.
var reserved struct {
	sync.Mutex
	all []net.Listener
}

// FreePort returns a TCP port that nobody listens on, on any address. No other
// process that runs tests gets it until this one has ended: two gateways on
// one port would share it without an error, and get each other's requests.
func FreePort() (int, error) {
	var last error
	for range 1000 {
		port := firstPort + rand.IntN(ports)
		if last = take(port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// take reserves a port with an abstract socket, which is in the network
// namespace that the port is in, and ends with this process. The tests of the
// gateway's own module use the same names (internal/freeport).
func take(port int) error {
	var lc net.ListenConfig
	reservation, err := lc.Listen(context.Background(), "unix", fmt.Sprintf("@registry-auth-test-port-%d", port))
	if err != nil {
		return err
	}
	l, err := lc.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return errors.Join(err, reservation.Close())
	}
	reserved.Lock()
	reserved.all = append(reserved.all, reservation)
	reserved.Unlock()
	return l.Close()
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
