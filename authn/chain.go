package authn

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Equalizer is implemented by authenticators with slow password hashes. A
// [Chain] calls it when nobody owns a password, so that an unknown account
// takes the time of a wrong password and cannot be told from it. Where there
// are several, an unknown account looks like one of the first or one of the
// second, always the same.
type Equalizer interface {
	// Equalize spends that time. It returns [ErrBusy] where the check of a
	// wrong password would have, and nil otherwise.
	Equalize(ctx context.Context, c *Credential) error
	// EqualizeCost is about how many milliseconds that takes at most; zero
	// if there is no account with a slow hash.
	EqualizeCost() float64
}

// Chain asks authenticators in order. It is immutable and safe for concurrent
// use; a credential that is right passes without a lock being taken here.
type Chain struct {
	list     []Member
	ambients []Member // those that implement Ambient
	roles    []Member // those that implement RoleSource
	byName   map[string]Authenticator
	names    nameRule
	throttle *Throttle
	robots   *robotLogins
	admit    func(*Principal) error // see Admit

	passwordsOff bool // see WithoutPasswords
}

// Admit lets check have the last word on every principal that an
// authenticator vouches for: its error refuses the credential. It must be set
// before the chain is used.
func (ch *Chain) Admit(check func(*Principal) error) { ch.admit = check }

// NewChain makes a chain that asks list in its order and answers repeated
// failures through throttle, which may be shared between chains or nil.
func NewChain(list []Member, throttle *Throttle) *Chain {
	c := &Chain{list: slices.Clone(list), byName: make(map[string]Authenticator, len(list)), names: newNameRule(list), throttle: throttle}
	for _, n := range list {
		c.byName[n.Name] = n.Authenticator
		if robots, ok := n.Authenticator.(*Robots); ok {
			c.robots = robots.logins
		}
		if _, ok := n.Authenticator.(Ambient); ok {
			c.ambients = append(c.ambients, n)
		}
		if _, ok := n.Authenticator.(RoleSource); ok {
			c.roles = append(c.roles, n)
		}
	}
	return c
}

// WantsEvidence reports whether credentials should come with their [Evidence]:
// whether anybody in the chain looks at it.
func (ch *Chain) WantsEvidence() bool { return len(ch.ambients) > 0 || len(ch.roles) > 0 }

// Authenticate returns who shows the credential: if there is none, who the
// first [Ambient] authenticator sees, else [Anonymous]; if there is one, what
// the first authenticator says that owns it. A credential that is
// wrong ends the chain; one that nobody owns is [ErrInvalid]. Errors name the
// authenticator, never the secret. Who it is gets the roles that a
// [RoleSource] of the chain sees, unless it is nobody.
func (ch *Chain) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	c.robots = ch.robots
	p, err := ch.principal(ctx, c)
	if err == nil && len(ch.roles) > 0 && !p.IsAnonymous() {
		return ch.withRoles(p, c.Evidence)
	}
	return p, err
}

func (ch *Chain) principal(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme == SchemeNone {
		p, err := ch.ambient(ctx, c)
		if err == nil && ch.admit != nil && !p.IsAnonymous() {
			err = ch.admit(p)
		}
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	p, err := ch.ask(ctx, c)
	if err == nil {
		if ch.admit != nil {
			if refused := ch.admit(p); refused != nil {
				// The secret was right: nobody is guessing here.
				return nil, refused
			}
		}
		return p, nil
	}
	err = ch.explainPassword(c, err)
	if ch.throttle != nil {
		err = ch.throttle.Failed(c, err)
	}
	return nil, err
}

// withRoles adds the roles that the request shows, as [Principal.HeaderRoles].
// The principal is shared between requests, so a copy gets them.
func (ch *Chain) withRoles(p *Principal, e *Evidence) (*Principal, error) {
	var all []string
	unread := false
	for _, n := range ch.roles {
		source, _ := n.Authenticator.(RoleSource)
		roles, told, err := source.AmbientRoles(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		if err := ch.names.checkRoles(n.Name, roles); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		all = append(all, roles...)
		// Robots have no roles of people that they could go around.
		unread = unread || !told && p.Kind != KindRobot
	}
	if all == nil && !unread {
		return p, nil
	}
	richer := *p
	richer.HeaderRoles, richer.HeaderRolesUnread = all, unread
	return &richer, nil
}

// ambient asks who sends a request without a credential.
func (ch *Chain) ambient(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Evidence == nil {
		return Anonymous, nil
	}
	for _, n := range ch.ambients {
		a, _ := n.Authenticator.(Ambient)
		p, err := a.AuthenticateAmbient(ctx, c)
		switch {
		case err == nil:
			return ch.vouch(n.Name, p)
		case !errors.Is(err, ErrNotMine):
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return Anonymous, nil
}

// vouch returns the principal with the name of its authenticator. What an
// authenticator returned is shared, so it is not changed.
func (ch *Chain) vouch(name string, p *Principal) (*Principal, error) {
	if p == nil {
		return nil, fmt.Errorf("%s: %w: no principal", name, ErrInvalid)
	}
	if p.Credential != CredentialRegistryToken { // whose name was checked when it was read
		if err := CheckName(p.Kind, p.Name); err != nil {
			return nil, fmt.Errorf("%s: %w: the name of %.200q: %w", name, ErrInvalid, p, err)
		}
	}
	own := p.Kind == KindUser && p.Subject != "" && p.Issuer == ""
	if p.Authenticator == "" || own {
		named := *p
		named.Authenticator = cmp.Or(p.Authenticator, name)
		if own { // the same subject of another authenticator is somebody else
			named.Issuer = named.Authenticator
		}
		p = &named
	}
	if err := ch.names.check(p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func (ch *Chain) ask(ctx context.Context, c *Credential) (*Principal, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	for _, n := range ch.list {
		if !takes(n.Authenticator, c.Scheme) {
			continue
		}
		p, err := n.Authenticator.Authenticate(ctx, c)
		switch {
		case err == nil:
			return ch.vouch(n.Name, p)
		case !errors.Is(err, ErrNotMine):
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	if err := ch.equalize(ctx, c); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: no authenticator knows a credential of this kind", ErrInvalid)
}

// equalize spends the time of a wrong password for a credential that nobody
// owns.
func (ch *Chain) equalize(ctx context.Context, c *Credential) error {
	var slow []Member
	for _, n := range ch.list {
		if e, ok := n.Authenticator.(Equalizer); ok && takes(n.Authenticator, c.Scheme) && e.EqualizeCost() > 0 {
			slow = append(slow, n)
		}
	}
	if len(slow) == 0 {
		return nil
	}
	n := slow[pretend(len(slow), "authenticator", c.Username)]
	e, _ := n.Authenticator.(Equalizer)
	if err := e.Equalize(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// check refuses, before anybody is asked, what cannot be right: some
// directories take an empty password for an anonymous login and call it good.
func (c *Credential) check() error {
	switch {
	case c.Secret == "":
		return fmt.Errorf("%w: empty secret", ErrInvalid)
	case len(c.Secret) > MaxCredential:
		return fmt.Errorf("%w: secret longer than %d bytes", ErrInvalid, MaxCredential)
	case len(c.Username) > maxUsername:
		return fmt.Errorf("%w: user name longer than %d bytes", ErrInvalid, maxUsername)
	case !utf8.ValidString(c.Username) || strings.ContainsFunc(c.Username, unicode.IsControl):
		return fmt.Errorf("%w: user name with control characters", ErrInvalid)
	}
	return nil
}

// Recheck reports whether a principal, for whom a registry token was issued
// earlier, is still good for the client that shows it. It fails with
// [ErrDisabled] when the authenticator that vouched for it is gone.
func (ch *Chain) Recheck(p *Principal, c *Credential) error {
	if p.IsAnonymous() {
		return nil
	}
	a, ok := ch.byName[p.Authenticator]
	if !ok {
		return fmt.Errorf("%w: authenticator %q is not configured any more", ErrDisabled, p.Authenticator)
	}
	if r, ok := a.(Rechecker); ok {
		if err := r.Recheck(p, c); err != nil {
			return fmt.Errorf("%s: %w", p.Authenticator, err)
		}
	}
	return nil
}

// A wrong secret is a strike; trying the same wrong secret again, as a client
// does whose configuration is out of date, is no further guess.
const (
	strikeLimit   = 10
	strikeMost    = 100              // beyond which nothing is counted
	strikeWindow  = 15 * time.Minute // without a failure, all is forgotten
	strikeSecrets = 4                // wrong secrets remembered of one account

	throttleFirst = time.Second
	throttleMost  = 5 * time.Minute
)

const (
	throttleShards   = 64
	throttlePerShard = 512 // of the newer generation; the older has as many
)

// Throttle counts failed password attempts by client address and account. It
// changes how failures are answered and nothing else: a right password is
// never refused because of wrong ones, so that nobody can lock out a robot or
// a colleague. What limits guessing is that each guess is still checked in a
// [HashPool] or against 256 random bits. Memory is bounded: about 64,000
// accounts under attack are remembered, the longest quiet are forgotten first.
// It is safe for concurrent use, and not touched by requests that succeed.
type Throttle struct {
	now    func() time.Time
	mac    *processMAC
	shards [throttleShards]throttleShard
	beside atomic.Pointer[Tallies]
}

// Tallies is how gateways on one store tell each other what they have counted. It
// must not block.
type Tallies interface {
	// Tally takes note of how often somebody did something here, and returns how
	// often elsewhere within a while.
	Tally(purpose, who string, count int, within time.Duration) (elsewhere int)
}

// Beside has the throttle count what other gateways have, too.
func (t *Throttle) Beside(others Tallies) { t.beside.Store(&others) }

// throttleShard keeps two generations: when the newer is full it becomes the
// older, and the older is dropped.
type throttleShard struct {
	mu           sync.Mutex
	newer, older map[uint64]strikes
}

type strikes struct {
	count   int
	last    time.Time
	secrets [strikeSecrets]uint64 // keyed digests, the newest first
}

// NewThrottle makes a throttle; now is the clock, nil for the real one.
func NewThrottle(now func() time.Time) *Throttle {
	if now == nil {
		now = time.Now
	}
	return &Throttle{now: now, mac: newProcessMAC()}
}

// Failed takes note of an attempt that failed with err and returns what to
// answer: err, or a [*ThrottledError] around it after about ten different
// wrong passwords for one account from one address. Only [ErrInvalid] counts:
// all other failures either prove that the secret was known or are ours.
// Bearer tokens do not count, for nobody can guess one.
func (t *Throttle) Failed(c *Credential, err error) error {
	if c.Scheme != SchemeBasic || !errors.Is(err, ErrInvalid) {
		return err
	}
	source, name := sourceOf(c.Remote), c.robots.account(c.Username)
	account := t.mac.sum("account", source, name)
	secret := t.mac.sum("secret", c.Secret)
	count := t.strike(binary.LittleEndian.Uint64(account[:]), binary.LittleEndian.Uint64(secret[:]))
	if beside := t.beside.Load(); beside != nil {
		count += (*beside).Tally("strike", source+" "+name, count, strikeWindow)
	}
	over := count - strikeLimit
	if over <= 0 {
		return err
	}
	delay := throttleMost
	if doublings := over - 1; doublings < 9 {
		delay = min(throttleFirst<<doublings, throttleMost)
	}
	return &ThrottledError{RetryAfter: delay, Err: err}
}

// strike adds a failure and returns how many there are.
func (t *Throttle) strike(account, secret uint64) int {
	now := t.now()
	shard := &t.shards[account%throttleShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()

	s, ok := shard.newer[account]
	if !ok {
		s = shard.older[account]
	}
	if now.Sub(s.last) > strikeWindow || now.Before(s.last) {
		s = strikes{}
	}
	if !slices.Contains(s.secrets[:], secret) {
		s.count = min(s.count+1, strikeMost)
		copy(s.secrets[1:], s.secrets[:])
		s.secrets[0] = secret
	}
	s.last = now
	if !ok && len(shard.newer) >= throttlePerShard {
		shard.older, shard.newer = shard.newer, nil
	}
	if shard.newer == nil {
		shard.newer = make(map[uint64]strikes)
	}
	shard.newer[account] = s
	return s.count
}

// sourceOf is the address by which a client is counted: with IPv6 its /64,
// since whoever has one address there has all of them.
func sourceOf(a netip.Addr) string { return sourceNetwork(a).String() }

func sourceNetwork(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
