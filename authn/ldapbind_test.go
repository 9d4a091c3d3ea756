package authn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// anonymousDirectory takes whatever is shown for a sign-in, as directories do
// with an empty password.
type anonymousDirectory struct {
	ldapSession
	binds int
}

func (d *anonymousDirectory) SimpleBind(*ldap.SimpleBindRequest) (*ldap.SimpleBindResult, error) {
	d.binds++
	return &ldap.SimpleBindResult{}, nil
}

// TestNobodySignsInAsNobody: an empty name or password is not even asked about.
func TestNobodySignsInAsNobody(t *testing.T) {
	for _, c := range [][2]string{{"", ""}, {"", "x"}, {"uid=alice", ""}} {
		d := new(anonymousDirectory)
		if _, err := bindAs(d, c[0], c[1]); err == nil || d.binds != 0 {
			t.Errorf("%q: %v after %d questions", c, err, d.binds)
		}
	}
	if _, err := bindAs(new(anonymousDirectory), "uid=alice", "x"); err != nil {
		t.Error(err)
	}
}

// TestNothingIsSaidInTheClear where the address or the setting asks for TLS.
func TestNothingIsSaidInTheClear(t *testing.T) {
	for address, test := range map[string]struct {
		startTLS bool
		first    byte // of a handshake, or of a message of LDAP
	}{"ldaps://": {false, 0x16}, "ldap://": {true, 0x30}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan byte, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			b := make([]byte, 1)
			_, _ = io.ReadFull(c, b)
			first <- b[0]
		}()
		u, err := url.Parse(address + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := &ldapConnections{startTLS: test.startTLS, tls: &tls.Config{MinVersion: tls.VersionTLS12}, timeout: 2 * time.Second}
		if c, err := p.connect(t.Context(), u); err == nil {
			c.Close()
			t.Errorf("%s: connected without TLS", address)
		}
		if b := <-first; b != test.first {
			t.Errorf("%s: began with %#x", address, b)
		}
		l.Close()
	}
}

// TestPasswordPolicyEndsASignIn that the directory itself calls good.
func TestPasswordPolicyEndsASignIn(t *testing.T) {
	for code, want := range map[int8]error{
		-1: nil, ldap.BeheraPasswordExpired: ErrExpired, ldap.BeheraChangeAfterReset: ErrExpired, ldap.BeheraAccountLocked: ErrDisabled,
	} {
		err := passwordPolicy(&ldap.SimpleBindResult{Controls: []ldap.Control{&ldap.ControlBeheraPasswordPolicy{Error: code}}})
		if !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", code, err, want)
		}
	}
	for _, result := range []*ldap.SimpleBindResult{nil, {}} {
		if err := passwordPolicy(result); err != nil {
			t.Error(err)
		}
	}
}
