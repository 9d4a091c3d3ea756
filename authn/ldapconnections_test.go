package authn

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestLDAPServers: whatever listens there, nobody is told that a password is
// wrong, and nobody waits for long.
func TestLDAPServers(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"hangs up": func(c net.Conn) { c.Close() },
		"hangs":    func(net.Conn) {},
		"garbage":  func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"an answer of 2 GB": func(c net.Conn) {
			_, _ = c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xf0, 0x04, 0x84, 0x7f, 0xff, 0xff, 0x00})
			for block := make([]byte, 1<<20); ; {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			var connections atomic.Int32
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					connections.Add(1)
					t.Cleanup(func() { c.Close() })
					go answer(c)
				}
			}()
			a, err := NewLDAP(LDAPConfig{
				URLs: []string{"ldap://127.0.0.1:1", "ldap://" + l.Addr().String()}, BindAs: "uid={user},dc=x", Timeout: Duration(300 * time.Millisecond),
			}, LDAPOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(a.Close)
			start := time.Now()
			if _, err := a.Authenticate(t.Context(), password("alice", "pw")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			if connections.Load() != 1 {
				t.Errorf("%d connections", connections.Load())
			}
		})
	}
}
