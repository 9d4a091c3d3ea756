package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// outcomeEntries is how many outcomes are remembered of one system.
const outcomeEntries = 8192

// outcomes asks a system elsewhere (a directory, an identity provider) about
// passwords and remembers what it said, so that a client which sends its
// password with every request is not a question every time, and goes on while
// that system is away. Passwords are not kept: entries are found by an HMAC.
// It is safe for concurrent use.
type outcomes struct {
	entries *cache[saidOf]
	macs    *processMAC
	flights singleflight.Group
	pool    *HashPool     // bounds how many questions are under way
	timeout time.Duration // of one question
	keep    time.Duration // a refusal is remembered for so long
	now     func() time.Time
}

// saidOf is what was said about a password.
type saidOf struct {
	principal *Principal
	err       error
}

func newOutcomes(questions int, timeout, keep time.Duration, now func() time.Time) *outcomes {
	pool := NewHashPool(questions)
	pool.patience = pool.wait // a question takes no time of ours, unless the system is away
	return &outcomes{
		entries: newCache[saidOf](outcomeEntries), macs: newProcessMAC(), pool: pool,
		timeout: timeout, keep: keep, now: now,
	}
}

// ask answers from memory or by question, which says until when its answer may
// be used. Equal questions that are under way are asked once. That it could
// not be answered is never remembered.
func (o *outcomes) ask(ctx context.Context, c *Credential, question func(context.Context) (*Principal, time.Time, error)) (*Principal, error) {
	key := o.macs.sum(c.Username, c.Secret)
	if known, ok := o.entries.get(&key, o.now()); ok {
		return known.principal, known.err
	}
	done := o.flights.DoChan(string(key[:]), func() (any, error) {
		// Whoever looked before the flight ahead of this one had landed.
		if known, ok := o.entries.get(&key, o.now()); ok {
			return known.principal, known.err
		}
		// Not the context of whoever came first: he may leave.
		ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
		defer cancel()
		var p *Principal
		var until time.Time
		var err error
		switch busy := o.pool.Do(ctx, Claimant{From: c.Remote, Account: c.Username}, func() bool {
			p, until, err = question(ctx)
			return !errors.Is(err, ErrInvalid)
		}); {
		case errors.Is(busy, ErrBusy):
			return nil, busy
		case busy != nil:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, busy)
		}
		now := o.now()
		if err != nil {
			p, until = nil, now.Add(o.keep)
		} else {
			p.Proven = now
		}
		if !errors.Is(err, ErrUnavailable) && until.After(now) {
			o.entries.put(o.entries.generation.Load(), &key, saidOf{p, err}, now, until)
		}
		return p, err
	})
	select {
	case r := <-done:
		p, _ := r.Val.(*Principal)
		return p, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// isPassword reports whether a credential may be a password that another
// system knows: not what has the shape of a token or of a secret of ours, and
// not with a login name of robots. Those are never shown to anybody else.
func isPassword(c *Credential) bool {
	if c.Scheme != SchemeBasic || c.Username == "" || c.Secret == "" || looksLikeJWT(c.Secret) {
		return false
	}
	if _, ours := secretKind(c.Secret); ours {
		return false
	}
	return !c.robots.isRobots(c.Username) && checkUserName(c.Username) == nil
}

// Directories lock an account after some wrong passwords, five for example, and
// count for a while. What is guessed here must not lock anybody out there.
const (
	failedBinds        = 3 // wrong passwords of one account within failedBindWindow
	failedBindWindow   = 30 * time.Minute
	failedBindAccounts = 16384 // of each of two generations
)

// failedBindBudget is how many wrong passwords a system elsewhere is shown for
// each account. The password that was right last is shown all the same, so that
// a flood of guesses does not shut its owner out. It is safe for concurrent use.
type failedBindBudget struct {
	macs         *processMAC
	mu           sync.Mutex
	newer, older map[string]*boundAccount
}

type boundAccount struct {
	failed []time.Time // the oldest first
	asking int         // questions that are under way, which count as failures
	right  cacheKey    // of the password that was right last; zero: none was
}

func newFailedBindBudget() failedBindBudget { return failedBindBudget{macs: newProcessMAC()} }

// ask asks whether a password of an account is right, unless the budget is
// spent: then it is a [*ThrottledError], and nobody is asked. Question reports
// whether its answer counts as a failure where it is asked.
func (b *failedBindBudget) ask(account, password string, now func() time.Time, question func() (failed bool, err error)) error {
	account = foldAccount(account)
	secret := b.macs.sum(account, password)
	if wait := b.begin(account, secret, now()); wait > 0 {
		return &ThrottledError{RetryAfter: wait, Err: fmt.Errorf(
			"%w: %d wrong passwords for this account within %s: more are not shown to where it is kept, which could lock the account",
			ErrInvalid, failedBinds, failedBindWindow)}
	}
	failed, err := question()
	b.end(account, secret, now(), failed, err == nil)
	return err
}

// begin reserves a question, or returns how long there is none.
func (b *failedBindBudget) begin(account string, secret cacheKey, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(account)
	for len(a.failed) > 0 && now.Sub(a.failed[0]) >= failedBindWindow {
		a.failed = a.failed[1:]
	}
	if len(a.failed)+a.asking >= failedBinds && secret != a.right {
		if len(a.failed) == 0 {
			return time.Second // it depends on those that are under way
		}
		return max(time.Second, a.failed[0].Add(failedBindWindow).Sub(now))
	}
	a.asking++
	return 0
}

// end settles a question. A right password has the directory forget the wrong
// ones, and so do we.
func (b *failedBindBudget) end(account string, secret cacheKey, now time.Time, failed, right bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(account)
	a.asking = max(0, a.asking-1)
	switch {
	case failed:
		a.failed = append(a.failed, now)
		if secret == a.right { // it was changed
			a.right = cacheKey{}
		}
	case right:
		a.failed, a.right = nil, secret
	}
}

// account returns what is known of an account. Of too many those are forgotten
// that were quiet longest.
func (b *failedBindBudget) account(name string) *boundAccount {
	if a := b.newer[name]; a != nil {
		return a
	}
	a := b.older[name]
	if a == nil {
		a = &boundAccount{}
	}
	if b.newer == nil || len(b.newer) >= failedBindAccounts {
		b.newer, b.older = map[string]*boundAccount{}, b.newer
	}
	b.newer[strings.Clone(name)] = a
	return a
}

// foldAccount is an account's name as directories compare it.
func foldAccount(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), " "))
}

const (
	// remoteEntries is how many answers are remembered.
	remoteEntries = 8 << 10
	// remoteNegative is how long a refusal is: long enough for a client that
	// tries the same in a loop, short enough for who corrects a mistake.
	remoteNegative = 5 * time.Second
	// remoteConcurrent is how many questions are under way by default.
	remoteConcurrent = 32
)

// answer is what a service said of a credential: who it is, or why not. It is
// good for keep.
type answer struct {
	principal *Principal
	err       error // ErrNotMine, ErrInvalid …, never ErrUnavailable
	keep      time.Duration
}

// remote asks a service who shows a credential: each credential once at a
// time, a bounded number at once, not at all while the service is down, and
// not again while an answer is good. Credentials are not kept: answers are
// found by an HMAC. It is safe for concurrent use.
type remote struct {
	name    string
	client  *http.Client
	answers *cache[answer]
	macs    *processMAC
	flights singleflight.Group
	pool    *HashPool // bounds how many questions are under way, and is fair
	breaker breaker
	now     func() time.Time
	log     *zap.Logger
}

func newRemote(name string, timeout time.Duration, concurrent int, o Options) *remote {
	r := &remote{
		name: name, client: providerClient(o.Transport), answers: newCache[answer](remoteEntries),
		macs: newProcessMAC(), pool: NewHashPool(concurrent), now: o.Now, log: o.Logger,
	}
	r.pool.patience, r.pool.budget.off = r.pool.wait, true // it is the service's time, and tokens are no guesses
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	r.client.Timeout = timeout
	return r
}

// who returns the answer to a question that the parts stand for. It comes from
// memory or from put, whose own errors mean that there is no answer. Of those
// who wait for an answer, the places and accounts that were wrong the least
// lately come first.
func (r *remote) who(ctx context.Context, claimant Claimant, put func(context.Context) (answer, error), parts ...string) (*Principal, error) {
	key := r.macs.sum(parts...)
	if a, known := r.answers.get(&key, r.now()); known {
		return a.principal, a.err
	}
	done := r.flights.DoChan(string(key[:]), func() (any, error) {
		// Not the context of whoever came first: he may leave.
		ctx := context.WithoutCancel(ctx)
		var a answer
		var err error
		if busy := r.pool.Do(ctx, claimant, func() bool {
			a, err = r.fetch(ctx, put, &key)
			return err != nil || a.err == nil
		}); busy != nil {
			return nil, busy
		}
		return a, err
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		a, _ := result.Val.(answer)
		return a.principal, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (r *remote) fetch(ctx context.Context, put func(context.Context) (answer, error), key *cacheKey) (answer, error) {
	if !r.breaker.admits(r.now()) {
		return answer{}, fmt.Errorf("%w: the service has failed %d times in a row and is left alone for a moment", ErrUnavailable, breakerLimit)
	}
	a, err := put(ctx)
	now := r.now()
	if r.breaker.note(err == nil, now) {
		r.log.Warn("service fails and is left alone", zap.String("authenticator", r.name), zap.Duration("retry_in", breakerPause), zap.Error(err))
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrUnavailable, shortened(withoutURL(err)))
	}
	if a.err == nil && !a.principal.Expires.IsZero() {
		a.keep = min(a.keep, a.principal.Expires.Sub(now))
	}
	if a.keep > 0 {
		r.answers.put(r.answers.generation.Load(), key, a, now, now.Add(a.keep))
	}
	return a, nil
}

// withoutURL takes the address out of a client's error: it may have secrets.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
