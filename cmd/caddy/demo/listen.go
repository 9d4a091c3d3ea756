package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// listen opens the loopback address of a flag.
func listen(flag, addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s %s: want a loopback address with a port, such as 127.0.0.1:5000", flag, addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w (choose another address with %s)", err, flag)
	}
	return l, nil
}

// free returns an address that Caddy can listen at, with a port chosen if it
// had none. Caddy would share a port that another Caddy listens at.
func free(flag, addr string) (string, error) {
	l, err := listen(flag, addr)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serve answers requests until stop is called.
func serve(l net.Listener, h http.Handler) (stop func() error) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := s.Shutdown(ctx)
		if err != nil {
			err = s.Close() // somebody is still asking: leave all the same
		}
		if ended := <-done; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
}
