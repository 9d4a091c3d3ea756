package faults

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// line is what lies between a gateway and something that it needs: it can be
// cut, and it can go dead.
type line struct {
	Addr string

	to   string
	mu   sync.Mutex
	open map[net.Conn]bool
	dead chan struct{} // closed when what comes is passed on again; nil: it is
	l    net.Listener
}

// newLine lays a line to an address.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l := &line{Addr: fmt.Sprintf("127.0.0.1:%d", port), to: to, open: map[net.Conn]bool{}}
	c := &check{T: t}
	l.mend(c)
	t.Cleanup(func() {
		l.cut(c)
		l.wake(c)
	})
	return l
}

// mend lets connections through; it is how a line begins.
func (l *line) mend(t *check) {
	t.Helper()
	listener, err := net.Listen("tcp", l.Addr)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.l = listener
	l.mu.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(from)
		}
	}()
}

// cut resets what is connected and refuses who comes.
func (l *line) cut(*check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.l != nil {
		l.l.Close()
		l.l = nil
	}
	for c := range l.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an end
		}
		c.Close()
	}
	clear(l.open)
}

// sleep carries nothing any more, and tells nobody.
func (l *line) sleep(*check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil {
		l.dead = make(chan struct{})
	}
}

// wake ends sleep.
func (l *line) wake(*check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		close(l.dead)
		l.dead = nil
	}
}

func (l *line) carry(from net.Conn) {
	l.awake()
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		from.Close()
		return
	}
	l.mu.Lock()
	l.open[from], l.open[to] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			l.pump(way[1], way[0])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	delete(l.open, from)
	delete(l.open, to)
	l.mu.Unlock()
}

func (l *line) pump(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.awake()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awake waits until the line carries something.
func (l *line) awake() {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if dead != nil {
		<-dead
	}
}
