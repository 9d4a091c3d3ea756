// Package freeport finds ports for the servers of tests.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
)

// Ports are taken from below the range that the kernel gives to outgoing
// connections: one of those may take a port between this call and the start of
// the server that wants it.
const first, ports = 15000, 15000

// reserved keeps the reservations for as long as this process lives.
var reserved struct {
	sync.Mutex
	all []net.Listener
}

// Take returns a TCP port that nobody listens on, on any address. No other
// process that asks here, and none of the end-to-end tests, gets it until this
// process has ended: two servers of Caddy on one port would share it without
// an error, and get each other's requests.
func Take() (int, error) {
	var last error
	for range 1000 {
		port := first + rand.IntN(ports) //nolint:gosec // it is no secret
		if last = take(port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

func take(port int) error {
	var lc net.ListenConfig
	var reservation net.Listener
	if runtime.GOOS == "linux" {
		// An abstract socket is where the port is, in the network namespace, and
		// ends with the process.
		var err error
		if reservation, err = lc.Listen(context.Background(), "unix", fmt.Sprintf("@registry-auth-test-port-%d", port)); err != nil {
			return err
		}
	}
	l, err := lc.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		if reservation != nil {
			err = errors.Join(err, reservation.Close())
		}
		return err
	}
	if reservation != nil {
		reserved.Lock()
		reserved.all = append(reserved.all, reservation)
		reserved.Unlock()
	}
	return l.Close()
}
