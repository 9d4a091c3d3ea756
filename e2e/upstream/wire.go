package upstream

import (
	"bytes"
	"net"
	"sync"
)

// wireLimit bounds what is kept of the bytes on the wire.
const wireLimit = 1 << 20

// wire keeps the bytes that all connections of a recorder received.
type wire struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *wire) add(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b[:min(len(b), max(0, wireLimit-w.buf.Len()))])
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Reset()
}

func (w *wire) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.buf.Bytes())
}

type wireListener struct {
	net.Listener
	wire *wire
}

func (l *wireListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wireConn{Conn: c, wire: l.wire}, nil
}

type wireConn struct {
	net.Conn
	wire *wire
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.add(b[:n])
	return n, err
}
