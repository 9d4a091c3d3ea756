package state

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// IdentityProvider can be asked about its users; [authn.OIDC] is one.
type IdentityProvider interface {
	Refresh(ctx context.Context, refreshToken string) (*authn.Refreshed, error)
	Describe(ctx context.Context, r *authn.Refreshed, subject string) (*authn.Principal, error)
}

// Directory knows people without being shown anything of theirs; [authn.LDAP]
// is one.
type Directory interface {
	// Lookup returns somebody as the directory has them now: [authn.ErrGone]
	// if they are not there any more, [authn.ErrDisabled] if they may not sign
	// in, [authn.ErrUnavailable] if it has not said anything about them.
	Lookup(ctx context.Context, p *authn.Principal) (*authn.Principal, error)
}

// Vouching is how the users of one identity provider are asked about.
type Vouching struct {
	// Issuer is whose users they are. Users of an authenticator without one are
	// found by Authenticator.
	Issuer, Authenticator string
	// Provider is asked with the refresh tokens of those who have one,
	// Directory about everybody. Without either nobody can be asked.
	Provider  IdentityProvider
	Directory Directory
	// Roster knows who is there without being asked anything that takes time.
	Roster authn.Roster
	// Reused reports whether a subject may be somebody else's later; nil: none
	// may. Names always may.
	Reused func(subject string) bool
	// Every is how often a user is asked about, Grace how long one goes on
	// beyond that while the provider does not answer, MaxAge how long without
	// a refresh token. Negative: never, and without a limit.
	Every, Grace, MaxAge time.Duration
}

// LivenessOptions make a [Liveness].
type LivenessOptions struct {
	Providers []Vouching
	// Sealer opens and seals the refresh tokens.
	Sealer interface {
		Seal(value []byte, place string) []byte
		Open(sealed []byte, place string) ([]byte, error)
	}
	// Relevant returns a principal without what no rule looks at.
	Relevant func(*authn.Principal) *authn.Principal
	// Count is told what becomes of each question. May be nil.
	Count func(LivenessOutcome)
	Log   *slog.Logger
}

// Liveness asks identity providers, in the background, whether the people are
// still there who have tokens, docker logins and sessions. Of several gateways
// one asks at a time: many providers take a refresh token once only.
type Liveness struct {
	state     *State
	options   LivenessOptions
	providers map[string]*asked // by issuer
	others    map[string]*asked // by authenticator

	mu    sync.Mutex
	retry map[string]time.Time // users who are asked about again not before
	fails map[string]int
	// unsaved are refresh tokens that could not be written down yet.
	unsaved map[string]string
}

// asked is a provider, and how it answers.
type asked struct {
	Vouching
	mu       sync.Mutex
	failures int       // in a row
	pause    time.Time // until when it is left alone
}

// NewLiveness makes the questions of a realm.
func (s *State) NewLiveness(o LivenessOptions) *Liveness {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(LivenessOutcome) {}
	}
	l := &Liveness{
		state: s, options: o, providers: map[string]*asked{}, others: map[string]*asked{},
		retry: map[string]time.Time{}, fails: map[string]int{}, unsaved: map[string]string{},
	}
	for _, v := range o.Providers {
		if v.Issuer == "" {
			l.others[v.Authenticator] = &asked{Vouching: v}
			continue
		}
		l.providers[v.Issuer] = &asked{Vouching: v}
	}
	return l
}

// Run asks until ctx is done.
func (l *Liveness) Run(ctx context.Context) {
	tick := 30 * time.Second
	for _, p := range l.providers {
		if p.Every > 0 {
			tick = min(tick, max(p.Every/8, 200*time.Millisecond))
		}
	}
	for len(l.providers)+len(l.others) > 0 {
		changes := l.changes()
		l.Sweep(ctx)
		for end := time.Now().Add(tick); time.Now().Before(end) && l.changes() == changes; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(tick, time.Second)):
			}
		}
	}
}

// changes counts how often somebody has left a list.
func (l *Liveness) changes() (n int) {
	for _, p := range l.others {
		if p.Roster != nil {
			n += p.Roster.Changes()
		}
	}
	return n
}

// provider returns who is asked about a user.
func (l *Liveness) provider(u *User) (*asked, bool) {
	p, ok := l.providers[u.Issuer]
	if !ok && (u.Issuer == "" || u.Issuer == u.Authenticator) {
		p, ok = l.others[u.Authenticator]
	}
	return p, ok
}

// confirmed is when the provider vouched for the user last.
func (u *User) confirmed() time.Time {
	if u.Provider != nil && u.Provider.Checked.After(u.Last) {
		return u.Provider.Checked
	}
	return u.Last
}

// due reports whether a user is to be asked about now. Users who signed in
// together are spread out.
func (p *asked) due(id string, u *User, now time.Time) bool {
	if u.Gone || u.Disabled || !p.asks(u) {
		return false
	}
	checked := u.confirmed()
	if p.Directory == nil {
		checked = u.Provider.Checked
	}
	h := fnv.New32a()
	fmt.Fprint(h, id, checked.UnixNano())
	early := p.Every / 4 * time.Duration(h.Sum32()%1024) / 1024
	return !now.Before(checked.Add(p.Every - p.Every/8 - early))
}

// asks reports whether a user is asked about at all.
func (p *asked) asks(u *User) bool {
	return p.Every > 0 && (p.Directory != nil || p.Provider != nil && u.Provider != nil && len(u.Provider.Sealed) > 0)
}

// overdue reports whether nobody has vouched for a user for too long.
func (p *asked) overdue(u *User, now time.Time) bool {
	limit := p.MaxAge
	if p.asks(u) {
		if limit = p.Grace; limit >= 0 {
			limit += p.Every
		}
	}
	if p.Roster != nil || u.NotBefore.After(u.Last) && p.reused(u) {
		return false // it is known who is there, or has been dealt with
	}
	return limit >= 0 && u.Unconfirmed.IsZero() && !u.Gone && now.After(u.confirmed().Add(limit))
}

// work is what a sweep has to do: users to ask about, users who rest, and those
// who have vanished.
type work struct{ due, rest, left []*Item[User] }

func (w *work) none() bool { return len(w.due)+len(w.rest)+len(w.left) == 0 }

func (l *Liveness) work() (w work) {
	now, owns := l.state.now(), l.owners()
	for item := range l.state.Users.All() {
		u := item.Value
		p, ok := l.provider(u)
		if !ok || !owns[item.ID] {
			continue
		}
		if !p.left(u).IsZero() {
			w.left = append(w.left, item)
		}
		if p.overdue(u, now) {
			w.rest = append(w.rest, item)
		}
		if p.due(item.ID, u, now) && l.mayRetry(item.ID, now) && p.open(now) {
			w.due = append(w.due, item)
		}
	}
	return w
}

// owners are the users who have something that lasts, such as a repository. Nobody else is asked
// about.
func (l *Liveness) owners() map[string]bool {
	now, owns := l.state.now(), map[string]bool{}
	for t := range l.state.Tokens.All() {
		if u, ok := l.state.Users.Get(t.Value.User); ok && t.Value.Created.Before(u.Value.NotBefore) {
			continue // ended, although it is still to be seen
		}
		if !t.Value.Disabled && (t.Value.Expires.IsZero() || now.Before(t.Value.Expires)) {
			owns[t.Value.User] = true
		}
	}
	for t := range l.state.IdentityTokens.All() {
		if !t.Value.ended(now) {
			owns[t.Value.User] = true
		}
	}
	for t := range l.state.Sessions.All() {
		if !t.Value.ended(now) {
			owns[t.Value.User] = true
		}
	}
	for t := range l.state.Owners.All() {
		owns[t.Value.Identity] = true
	}
	return owns
}

func (l *Liveness) mayRetry(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.retry[id])
}

// failed puts off a user who could not be asked about, and the provider if
// that happens in a row.
func (l *Liveness) failed(id string, p *asked, err error) {
	now := l.state.now()
	l.mu.Lock()
	l.fails[id]++
	l.retry[id] = now.Add(backoff(l.fails[id], p.Every))
	l.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	const inARow = 3
	if p.failures++; p.failures >= inARow {
		p.pause = now.Add(backoff(p.failures-inARow+1, p.Every))
	}
	if p.failures == inARow {
		l.options.Log.Warn("the identity provider does not answer about users: they go on for now", "issuer", p.Issuer, "grace", p.Grace.String(), "error", err)
	} else {
		l.options.Log.Debug("a user could not be asked about", "issuer", p.Issuer, "user", id, "error", err)
	}
}

// answered notes that the provider has said something.
func (l *Liveness) answered(id string, p *asked) {
	l.mu.Lock()
	delete(l.retry, id)
	delete(l.fails, id)
	l.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	const inARow = 3
	if p.failures >= inARow {
		l.options.Log.Info("the identity provider answers about users again", "issuer", p.Issuer)
	}
	p.failures, p.pause = 0, time.Time{}
}

// open reports whether the provider is asked at all at the moment.
func (p *asked) open(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.pause)
}

func backoff(n int, most time.Duration) time.Duration {
	wait := time.Second << min(n-1, 10)
	return min(wait, most)
}

// isGone reports whether the provider has decided that the user may not go on.
func isGone(err error) bool { return errors.Is(err, authn.ErrDisabled) }

// LivenessOutcome is what becomes of a question about a user.
type LivenessOutcome string

// The outcomes.
const (
	// LivenessOK: the user is there. LivenessUndescribed: so it is, but who it
	// is cannot be told, and groups and roles stay as they were.
	LivenessOK          LivenessOutcome = "ok"
	LivenessUndescribed LivenessOutcome = "undescribed"
	// LivenessGone: the provider does not let the user go on.
	LivenessGone LivenessOutcome = "gone"
	// LivenessProviderDown: it is away, slow, or refuses our client.
	LivenessProviderDown LivenessOutcome = "provider_down"
	// LivenessUnreadable: the refresh token cannot be opened, as after the
	// key was lost. LivenessUnsaved: the store did not take what was said.
	LivenessUnreadable LivenessOutcome = "unreadable"
	LivenessUnsaved    LivenessOutcome = "unsaved"
	// LivenessRested: nobody has vouched for the user for too long, and what
	// it has rests.
	LivenessRested LivenessOutcome = "rested"
)

// LivenessOutcomes are all of them.
var LivenessOutcomes = []LivenessOutcome{
	LivenessOK, LivenessUndescribed, LivenessGone, LivenessProviderDown, LivenessUnreadable, LivenessUnsaved, LivenessRested,
}
