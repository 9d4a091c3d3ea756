package authn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

const (
	// ldapIdle is how long an unused connection is kept.
	ldapIdle = time.Minute
	// ldapAnswers is the most that is read for one sign-in, in bytes.
	ldapAnswers = 4 << 20
	// ldapPause is how long a server that could not be reached is asked last.
	ldapPause = 30 * time.Second
)

// ldapConnections are the connections to a directory's servers.
type ldapConnections struct {
	servers  []*ldapServer
	startTLS bool
	tls      *tls.Config
	timeout  time.Duration
	keep     int
	log      *zap.Logger

	mu   sync.Mutex
	idle []*ldapConnection // the most recently used last
}

type ldapServer struct {
	url   *url.URL
	until atomic.Int64 // asked last until then, Unix nanoseconds
}

type ldapConnection struct {
	*ldap.Conn
	capped *cappedConn
	used   time.Time
}

func newLDAPConnections(c LDAPConfig, timeout time.Duration, o LDAPOptions) *ldapConnections {
	p := &ldapConnections{
		startTLS: c.StartTLS, timeout: timeout, keep: c.Connections, log: o.Logger,
		tls: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
	}
	for _, raw := range c.URLs {
		if u, err := url.Parse(raw); err == nil { // Validate has seen to it
			p.servers = append(p.servers, &ldapServer{url: u})
		}
	}
	return p
}

func (p *ldapConnections) with(ctx context.Context, do func(ldapSession) error) error {
	if c := p.take(); c != nil {
		err := p.use(ctx, c, do)
		if !errors.Is(err, errBroken) || ctx.Err() != nil {
			return err
		}
	}
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.use(ctx, c, do)
}

// use lends a connection out, and ends it if it broke or took too long.
func (p *ldapConnections) use(ctx context.Context, c *ldapConnection, do func(ldapSession) error) error {
	c.capped.left.Store(ldapAnswers)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := do(c.Conn)
	if !stop() || c.IsClosing() || errors.Is(err, errBroken) {
		c.Close()
		return err
	}
	p.give(c)
	return err
}

// take returns an idle connection, and closes those that have been too long.
func (p *ldapConnections) take() *ldapConnection {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(c *ldapConnection) bool {
		if c.IsClosing() || time.Since(c.used) > ldapIdle {
			go c.Close()
			return true
		}
		return false
	})
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return c
}

func (p *ldapConnections) give(c *ldapConnection) {
	c.used = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.keep {
		go c.Close()
		return
	}
	p.idle = append(p.idle, c)
}

func (p *ldapConnections) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		go c.Close()
	}
	p.idle, p.keep = nil, 0
}

// dial connects to the first server that can be reached; those that could not
// be reached lately are tried last.
func (p *ldapConnections) dial(ctx context.Context) (*ldapConnection, error) {
	now := time.Now().UnixNano()
	servers := slices.Clone(p.servers)
	slices.SortStableFunc(servers, func(a, b *ldapServer) int {
		switch away, other := a.until.Load() > now, b.until.Load() > now; {
		case away == other:
			return 0
		case away:
			return 1
		}
		return -1
	})
	var errs []error
	for _, s := range servers {
		c, err := p.connect(ctx, s.url)
		if err == nil {
			s.until.Store(0)
			return c, nil
		}
		s.until.Store(time.Now().Add(ldapPause).UnixNano())
		errs = append(errs, fmt.Errorf("%s: %w", s.url.Host, shortened(err)))
	}
	return nil, fmt.Errorf("%w: directory: %w", ErrUnavailable, errors.Join(errs...))
}

func (p *ldapConnections) connect(ctx context.Context, u *url.URL) (*ldapConnection, error) {
	port := u.Port()
	if port == "" {
		port = ldap.DefaultLdapPort
		if u.Scheme == "ldaps" {
			port = ldap.DefaultLdapsPort
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	config := p.tls.Clone()
	config.ServerName = u.Hostname()
	capped := &cappedConn{Conn: plain}
	capped.left.Store(ldapAnswers)
	var conn net.Conn = capped
	if u.Scheme == "ldaps" {
		secure := tls.Client(capped, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			plain.Close()
			return nil, err
		}
		conn = secure
	}
	c := ldap.NewConn(conn, u.Scheme == "ldaps")
	c.SetTimeout(p.timeout)
	c.Start()
	if p.startTLS {
		stop := context.AfterFunc(ctx, func() { plain.Close() })
		err := c.StartTLS(config)
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("starttls: %w", err)
		}
	}
	return &ldapConnection{Conn: c, capped: capped}, nil
}

// cappedConn is a connection from which only so much can be read.
type cappedConn struct {
	net.Conn
	left atomic.Int64
}

func (c *cappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left.Add(-int64(n)) < 0 {
		return 0, errors.New("the directory sends too much")
	}
	return n, err
}

// unprintable reports whether a character cannot be part of a group's name.
func unprintable(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) }
