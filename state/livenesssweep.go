package state

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

const (
	livenessLease = "liveness"
	// leaseFor is how long a gateway may ask; askFor how long one question
	// takes at most; atOnce how many are asked at a time.
	leaseFor = time.Minute
	askFor   = 20 * time.Second
	atOnce   = 4
)

// Sweep asks about everybody who is due. It does nothing if another gateway
// is doing it.
func (l *Liveness) Sweep(ctx context.Context) {
	if w := l.work(); w.none() {
		return
	}
	lease, err := l.state.TryLease(ctx, livenessLease, leaseFor)
	if err != nil {
		if !errors.Is(err, ErrLeaseHeld) && ctx.Err() == nil {
			l.options.Log.Debug("nobody is asked about", "error", err)
		}
		return
	}
	// What is under way is finished: a refresh token that was used is of no
	// use any more.
	keep := context.WithoutCancel(ctx)
	defer func() {
		done, cancel := context.WithTimeout(keep, 5*time.Second)
		defer cancel()
		if err := lease.Release(done); err != nil {
			l.options.Log.Debug("the lease on asking about users", "error", err)
		}
	}()
	// What the gateway before us has written is known before anything is done.
	caught, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := l.state.CaughtUp(caught, lease.unchanged().Revision); err != nil {
		return
	}
	w := l.work()
	l.askAll(ctx, lease, w.due)
	for _, item := range w.left {
		if p, ok := l.provider(item.Value); ok && ctx.Err() == nil {
			l.missing(keep, item.ID, p.left(item.Value), "not on the list of those who may sign in")
		}
	}
	for _, item := range w.rest {
		p, ok := l.provider(item.Value)
		switch {
		case !ok || ctx.Err() != nil:
		case p.reused(item.Value) && !p.asks(item.Value):
			l.missing(keep, item.ID, l.state.now(), "not seen for too long")
		default:
			l.rest(keep, item.ID)
		}
	}
}

// askAll asks about users, a few at a time.
func (l *Liveness) askAll(ctx context.Context, lease *Lease, due []*Item[User]) {
	slices.SortFunc(due, func(a, b *Item[User]) int { return a.Value.confirmed().Compare(b.Value.confirmed()) })
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, item := range due {
		p, ok := l.provider(item.Value)
		if !ok {
			continue
		}
		if ctx.Err() != nil || !l.held(ctx, lease) {
			break
		}
		if !p.open(l.state.now()) {
			continue
		}
		group.Go(func() error {
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
			defer cancel()
			ask := l.ask
			if p.Directory != nil {
				ask = l.lookUp
			}
			l.options.Count(ask(one, p, item))
			return nil
		})
	}
	_ = group.Wait()
}

// held reports whether the lease is good for one more question.
func (l *Liveness) held(ctx context.Context, lease *Lease) bool {
	if lease.Until().Sub(l.state.now()) > leaseFor/2 {
		return true
	}
	return lease.Renew(ctx) == nil
}

// ask asks the provider about one user.
func (l *Liveness) ask(ctx context.Context, p *asked, item *Item[User]) LivenessOutcome {
	id, u := item.ID, item.Value
	token, err := l.token(id, u)
	if err != nil {
		l.options.Log.Error("a user's refresh token cannot be opened: sign-in makes a new one", "user", id, "error", err)
		l.failed(id, p, err)
		return LivenessUnreadable
	}
	refreshed, err := p.Provider.Refresh(ctx, token)
	switch {
	case isGone(err):
		l.answered(id, p)
		return l.gone(ctx, id, u.Provider.Sealed, err)
	case err != nil:
		l.failed(id, p, err)
		return LivenessProviderDown
	}
	l.answered(id, p)
	saved := LivenessOK
	if refreshed.RefreshToken != token {
		saved = l.save(ctx, id, u.Provider.Sealed, refreshed.RefreshToken, nil)
	}
	described, err := p.Provider.Describe(ctx, refreshed, u.Subject)
	now, ok := l.state.Users.Get(id)
	if !ok || now.Value.Provider == nil {
		return saved
	}
	if isGone(err) {
		return l.gone(ctx, id, now.Value.Provider.Sealed, err)
	}
	last := l.save(ctx, id, now.Value.Provider.Sealed, refreshed.RefreshToken, described)
	if err != nil {
		l.options.Log.Warn("the identity provider vouches for a user and does not say who it is: groups and roles stay as they were", "issuer", p.Issuer, "user", id, "error", err)
		if last == LivenessOK {
			return LivenessUndescribed
		}
	}
	return last
}

// token returns the refresh token to ask with.
func (l *Liveness) token(id string, u *User) (string, error) {
	l.mu.Lock()
	unsaved, ok := l.unsaved[id+"\x00"+string(u.Provider.Sealed)]
	l.mu.Unlock()
	if ok {
		return unsaved, nil
	}
	plain, err := l.options.Sealer.Open(u.Provider.Sealed, ProviderPlace(id))
	return string(plain), err
}

// change changes the record of a user unless somebody signed in since,
// which is newer than what the provider has said to us.
func (l *Liveness) change(ctx context.Context, id string, sealed []byte, change func(*Tx, *User)) error {
	for {
		item, ok := l.state.Users.Get(id)
		if !ok || item.Value.Provider == nil || !slices.Equal(item.Value.Provider.Sealed, sealed) {
			return nil
		}
		next := *item.Value
		grant := *next.Provider
		next.Provider = &grant
		var tx Tx
		change(&tx, &next)
		Put(&tx, l.state.Users, id, &next, Unchanged(item))
		err := l.state.Commit(ctx, &tx)
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		if err := l.state.CaughtUp(ctx, conflict.Revision); err != nil {
			return err
		}
	}
}

// save writes down that the user is there, the token to ask with next, and
// what the provider says of the user.
func (l *Liveness) save(ctx context.Context, id string, sealed []byte, token string, p *authn.Principal) LivenessOutcome {
	var next []byte
	if plain, err := l.options.Sealer.Open(sealed, ProviderPlace(id)); err != nil || string(plain) != token {
		next = l.options.Sealer.Seal([]byte(token), ProviderPlace(id))
	}
	err := l.change(ctx, id, sealed, func(_ *Tx, u *User) {
		u.Provider.Checked, u.Unconfirmed = l.state.now().UTC(), time.Time{}
		if next != nil {
			u.Provider.Sealed = next
		}
		if p != nil {
			u.describe(l.relevant(p))
			u.Asserted = u.Provider.Checked
		}
	})
	key := id + "\x00" + string(sealed)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unsaved, key)
	if err != nil {
		// It is asked with next time, and written down then.
		l.unsaved[key] = token
		l.options.Log.Error("what the identity provider says of a user cannot be written down", "user", id, "error", err)
		return LivenessUnsaved
	}
	return LivenessOK
}

// signInLasts is how long a browser takes at most from the provider's answer to
// the gateway.
const signInLasts = time.Second

// gone ends what a user has who is not there any more. Access tokens stay to
// be seen, and are refused.
func (l *Liveness) gone(ctx context.Context, id string, sealed []byte, why error) LivenessOutcome {
	// Signing in again may have ended what the token was got for, a moment
	// before the token that it gives is written down.
	select {
	case <-ctx.Done():
		return LivenessUnsaved
	case <-time.After(signInLasts):
	}
	if item, ok := l.state.Users.Get(id); ok && item.Value.Provider != nil && !slices.Equal(item.Value.Provider.Sealed, sealed) {
		return LivenessOK
	}
	err := l.change(ctx, id, sealed, func(tx *Tx, u *User) {
		u.Gone, u.Provider = true, nil
		ended := l.state.endLogins(tx, id, l.state.now())
		tx.Note(System, "user.gone", Object{Kind: "user", ID: id, Name: u.Name}, nil, map[string]any{"reason": why.Error(), "ended": ended})
	})
	if err != nil {
		l.options.Log.Error("a user is gone and it cannot be written down: it is tried again", "user", id, "error", err)
		return LivenessUnsaved
	}
	l.options.Log.Warn("the identity provider does not let a user go on: all that the user has has ended", "user", id, "reason", why)
	return LivenessGone
}

// rest makes what a user has rest until the user is confirmed.
func (l *Liveness) rest(ctx context.Context, id string) {
	item, ok := l.state.Users.Get(id)
	if !ok {
		return
	}
	next := *item.Value
	next.Unconfirmed = l.state.now().UTC()
	var tx Tx
	Put(&tx, l.state.Users, id, &next, Unchanged(item))
	tx.Note(System, "user.unconfirmed", Object{Kind: "user", ID: id, Name: next.Name}, nil, map[string]any{"confirmed": next.confirmed()})
	switch err := l.state.Commit(ctx, &tx); {
	case err == nil:
		l.options.Count(LivenessRested)
	case !errors.Is(err, store.ErrConflict):
		l.options.Log.Warn("a user is not confirmed and it cannot be written down", "user", id, "error", err)
	}
}

// lookUp asks a directory about one user. Who is not there any more has all
// that was issued until now ended for good: the name of an entry may become
// somebody else's. Who may not sign in has it rest, and is asked about again.
func (l *Liveness) lookUp(ctx context.Context, p *asked, item *Item[User]) LivenessOutcome {
	id := item.ID
	described, err := p.Directory.Lookup(ctx, item.Value.Principal())
	switch {
	case errors.Is(err, authn.ErrGone):
		l.answered(id, p)
		saved := l.write(ctx, item, LivenessGone, func(tx *Tx, u *User) {
			l.state.vanish(tx, id, u, l.state.now(), p.reused(u), err.Error())
		})
		l.options.Log.Warn("the directory does not have a user any more: all that the user has has ended", "issuer", p.Issuer, "user", id)
		return saved
	case isGone(err):
		l.answered(id, p)
		l.later(id, p)
		if !item.Value.Unconfirmed.IsZero() {
			return LivenessRested
		}
		saved := l.write(ctx, item, LivenessRested, func(tx *Tx, u *User) {
			u.Unconfirmed = l.state.now().UTC()
			tx.Note(System, "user.unconfirmed", Object{Kind: "user", ID: id, Name: u.Name}, nil, map[string]any{"reason": err.Error()})
		})
		l.options.Log.Warn("the directory does not let a user sign in: all that the user has rests", "issuer", p.Issuer, "user", id, "reason", err)
		return saved
	case err != nil:
		l.failed(id, p, err)
		return LivenessProviderDown
	default:
		l.answered(id, p)
		described = l.relevant(described)
		if described.Identity().ID() != id {
			return l.moved(ctx, item, described)
		}
		return l.write(ctx, item, LivenessOK, func(_ *Tx, u *User) {
			u.Provider, u.Unconfirmed = &ProviderGrant{Checked: l.state.now().UTC()}, time.Time{}
			u.describe(described)
			u.Asserted = u.Provider.Checked
		})
	}
}

// moved writes down that somebody is known by another subject from now on.
func (l *Liveness) moved(ctx context.Context, item *Item[User], described *authn.Principal) LivenessOutcome {
	id, u, before, _ := l.state.See(described)
	if before == nil && u.former != item.ID {
		return LivenessOK // somebody else's answer
	}
	var tx Tx
	u.former = item.ID
	u.Authenticator, u.Last = item.Value.Authenticator, item.Value.Last
	u.Provider, u.Unconfirmed = &ProviderGrant{Checked: l.state.now().UTC()}, time.Time{}
	l.state.PutUser(&tx, id, u, before)
	if err := l.state.Commit(ctx, &tx); err != nil && !errors.Is(err, store.ErrConflict) {
		l.options.Log.Error("that a user is known by another subject cannot be written down: it is asked again", "user", item.ID, "error", err)
		return LivenessUnsaved
	}
	return LivenessOK
}

// relevant returns a principal as it is written down: without the claims that no
// rule looks at, and with all groups and roles, for rules that are still to come.
func (l *Liveness) relevant(p *authn.Principal) *authn.Principal {
	if l.options.Relevant == nil {
		return p
	}
	kept := *p
	kept.Claims = l.options.Relevant(p).Claims
	return &kept
}

// later puts off the next question about a user by a whole interval.
func (l *Liveness) later(id string, p *asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retry[id] = l.state.now().Add(p.Every)
}

// write changes the record of a user unless it has changed since the question:
// whoever signed in since is newer than the answer, and asked about again.
// It returns outcome if that worked.
func (l *Liveness) write(ctx context.Context, item *Item[User], outcome LivenessOutcome, change func(*Tx, *User)) LivenessOutcome {
	next := *item.Value
	var tx Tx
	change(&tx, &next)
	Put(&tx, l.state.Users, item.ID, &next, Unchanged(item))
	if err := l.state.Commit(ctx, &tx); err != nil && !errors.Is(err, store.ErrConflict) {
		l.options.Log.Error("what the directory says of a user cannot be written down: it is asked again", "user", item.ID, "error", err)
		return LivenessUnsaved
	}
	return outcome
}
