package authn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
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

const (
	// maxGroups is how many groups somebody may be in.
	maxGroups = 1000
	// maxGroupDepth is how deep groups of groups are followed.
	maxGroupDepth = 8
)

// search asks a question, and takes references to other servers for nothing:
// a directory must not send us, and passwords, elsewhere.
func search(s ldapSession, base string, scope, limit int, filter string, attributes []string) ([]*ldap.Entry, error) {
	r, err := s.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit, 0, false, filter, attributes, nil))
	var answer *ldap.Error
	switch {
	case err == nil:
		return r.Entries, nil
	case errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultSizeLimitExceeded:
		return nil, errTooMany
	case errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultNoSuchObject:
		return nil, nil
	}
	return nil, directoryAway(err)
}

var errTooMany = errors.New("too many entries")

// attributes are those of a person's entry that are of interest.
func (a *LDAP) attributes() []string {
	c := a.config
	list := append([]string{c.Username, c.Email, c.DisplayName}, c.Attributes...)
	if c.MemberOf != "" {
		list = append(list, c.MemberOf)
	}
	return append(append(list, identityAttributes...), creationAttributes...)
}

// find returns the one entry of somebody who signs in, or errNoEntry.
func (a *LDAP) find(s ldapSession, user string) (*ldap.Entry, error) {
	entries, err := search(s, a.config.SearchBase, ldap.ScopeWholeSubtree, 2, fillFilter(a.config.SearchFilter, "", user), a.attributes())
	switch {
	case errors.Is(err, errTooMany) || len(entries) > 1:
		return nil, fmt.Errorf("%w: several entries of the directory match", ErrInvalid)
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, errNoEntry
	case entries[0].DN == "":
		return nil, fmt.Errorf("%w: the directory found an entry without a name", ErrUnavailable)
	}
	return entries[0], nil
}

// own returns the entry of somebody who has signed in as dn.
func (a *LDAP) own(s ldapSession, dn, user string) (*ldap.Entry, error) {
	if a.config.SearchBase != "" {
		entry, err := a.find(s, user)
		if errors.Is(err, errNoEntry) {
			return nil, fmt.Errorf("%w: the directory accepts the password and does not find the entry", ErrUnavailable)
		}
		if err == nil && isDNTemplate(a.config.BindAs) && !sameEntry(entry.DN, dn) {
			return nil, fmt.Errorf("%w: the directory finds the entry of somebody else", ErrInvalid)
		}
		return entry, err
	}
	entries, err := search(s, dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", a.attributes())
	if err != nil || len(entries) == 1 {
		return first(entries), err
	}
	return nil, fmt.Errorf("%w: the directory does not let people read their own entries", ErrUnavailable)
}

func first(entries []*ldap.Entry) *ldap.Entry {
	if len(entries) == 0 {
		return nil
	}
	return entries[0]
}

// sameEntry compares the names of entries.
func sameEntry(a, b string) bool {
	first, err := ldap.ParseDN(a)
	if err != nil {
		return false
	}
	second, err := ldap.ParseDN(b)
	return err == nil && first.EqualFold(second)
}

// groups returns the names of the groups that somebody is in, and whether these
// are all: not where no groups are configured, or where one has no name that
// can be read. Too many are an error.
func (a *LDAP) groups(s ldapSession, entry *ldap.Entry, user string) (names []string, whole bool, err error) {
	if a.config.MemberOf == "" && !a.config.searchesGroups() {
		return nil, false, nil
	}
	whole = true
	seen := map[string]bool{}
	level := []*ldap.Entry{entry}
	for depth := 0; len(level) > 0; depth++ {
		if depth == maxGroupDepth {
			return nil, false, fmt.Errorf("%w: groups are nested deeper than %d", ErrUnavailable, maxGroupDepth)
		}
		var next []*ldap.Entry
		for _, member := range level {
			groups, err := a.groupsOf(s, member, user)
			if errors.Is(err, errTooMany) {
				return nil, false, fmt.Errorf("%w: more than %d groups", ErrUnavailable, maxGroups)
			}
			if err != nil {
				return nil, false, err
			}
			for _, g := range groups {
				if seen[g.DN] {
					continue
				}
				seen[g.DN] = true
				next = append(next, g)
				name, counts := a.groupName(g)
				switch {
				case !counts:
				case name == "":
					whole = false
					a.unread.note(a.groupsAttribute(), formMixed)
				case !slices.Contains(names, name):
					names = append(names, name)
				}
			}
			if len(seen) > maxGroups {
				return nil, false, fmt.Errorf("%w: more than %d groups", ErrUnavailable, maxGroups)
			}
		}
		if a.config.Nested != NestedRecursive {
			break
		}
		level = next
	}
	return names, whole, nil
}

// groupsOf returns the groups that name an entry, or that it names.
func (a *LDAP) groupsOf(s ldapSession, member *ldap.Entry, user string) ([]*ldap.Entry, error) {
	c := a.config
	if c.MemberOf == "" {
		return search(s, c.GroupBase, ldap.ScopeWholeSubtree, maxGroups, fillFilter(c.GroupFilter, member.DN, user), []string{c.GroupName})
	}
	if member.Attributes == nil { // a group that was named, not read
		entries, err := search(s, member.DN, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{c.MemberOf})
		if err != nil || len(entries) == 0 {
			return nil, err
		}
		member = entries[0]
	}
	var groups []*ldap.Entry
	for _, dn := range member.GetEqualFoldAttributeValues(c.MemberOf) {
		groups = append(groups, &ldap.Entry{DN: dn})
	}
	return groups, nil
}

// groupsAttribute is where groups are looked for, for log lines.
func (a *LDAP) groupsAttribute() string {
	if a.config.MemberOf != "" {
		return a.config.MemberOf
	}
	return a.config.GroupName
}

// groupName returns what policies call a group, and whether it counts; empty if
// it counts and has no name that can be read.
func (a *LDAP) groupName(group *ldap.Entry) (name string, counts bool) {
	name = group.DN
	dn, err := ldap.ParseDN(group.DN)
	if err != nil || len(dn.RDNs) == 0 || len(name) > MaxCredential {
		return "", true
	}
	if a.config.MemberOf != "" && a.config.GroupBase != "" {
		if base, err := ldap.ParseDN(a.config.GroupBase); err != nil || !base.AncestorOfFold(dn) {
			return "", false
		}
	}
	if !strings.EqualFold(a.config.GroupName, "dn") {
		name = group.GetEqualFoldAttributeValue(a.config.GroupName)
		for _, part := range dn.RDNs[0].Attributes {
			if strings.EqualFold(part.Type, a.config.GroupName) {
				name = part.Value
			}
		}
	}
	if len(name) > maxUsername || strings.ContainsFunc(name, unprintable) {
		return "", true
	}
	return name, true
}
