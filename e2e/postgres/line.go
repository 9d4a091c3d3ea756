package postgres

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Line is the connection from a gateway to a server, which can be cut.
type Line struct {
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// Line lays a line to the server, and returns it and how a gateway uses it.
func (s *Server) Line(t testing.TB) (*Line, string) {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{to: s.Addr(), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { listener.Close(); l.Cut() })
	go l.serve(listener)
	return l, strings.Replace(s.DSN(), s.Addr(), listener.Addr().String(), 1)
}

func (l *Line) serve(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil || !l.add(near, far) {
			near.Close()
			if err == nil {
				far.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				l.end(near, far)
			}()
		}
	}
}

// add notes a connection, unless the line is cut.
func (l *Line) add(near, far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cut {
		l.conns[near], l.conns[far] = true, true
	}
	return !l.cut
}

func (l *Line) end(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(l.conns, c)
	}
}

// Cut ends all connections, and lets none through from then on.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		c.Close()
	}
	clear(l.conns)
}

// Mend lets connections through again.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}
