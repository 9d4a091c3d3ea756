package state

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
// whoever signed in meanwhile is newer than the answer, and asked about again.
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
