package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// An identity token that is rotated has one successor, which is settled when
// the token is made. However often the token is exchanged, and however many
// answers are lost, its holder is told to keep the same one. The token is
// replaced when the successor is shown for the first time: then its holder has
// it. Whoever shows the old one a minute later has it from somewhere else, or
// its holder's new one is with somebody else (RFC 9700 §4.14.2).

const (
	// rotationGrace is how long a token that was replaced is still good, for
	// what was on its way at the time.
	rotationGrace = time.Minute
	// maxReplaced is how many replaced ones are recognised.
	maxReplaced = 8
)

// follow settles the successor of the token that secret shows.
func (v *IdentityToken) follow(id, secret string) (next string) {
	v.Seed = make([]byte, 32)
	_, _ = rand.Read(v.Seed) // never fails
	next, v.Next = authn.DeriveSecret(authn.SecretIdentityToken, id, secret, v.Seed)
	return next
}

// What a secret is to an identity token.
type standing int

const (
	wrong standing = iota
	good
	stale
)

func (v *IdentityToken) shows(secret string, now time.Time) standing {
	if matches(v.Hash, secret) || v.Next != "" && matches(v.Next, secret) {
		return good
	}
	for _, r := range v.Replaced {
		if !matches(r.Hash, secret) {
			continue
		}
		if now.Before(r.Until) {
			return good
		}
		return stale
	}
	return wrong
}

func matches(stored, secret string) bool {
	hash, err := authn.ParseHash(stored)
	return err == nil && hash.Matches(secret)
}

// leads returns the secret to go on with for who shows a good one, if nothing
// has to be written for that: the successor of the newest one.
func (v *IdentityToken) leads(id, shown string) (next string, ok bool) {
	seed := v.Seed
	for next = shown; !matches(v.Hash, next); {
		seed = nil
		for _, r := range v.Replaced {
			if matches(r.Hash, next) {
				seed = r.Seed
			}
		}
		if seed == nil {
			return "", false
		}
		next, _ = authn.DeriveSecret(authn.SecretIdentityToken, id, next, seed)
		seed = v.Seed
	}
	if v.Next == "" {
		return "", false
	}
	next, _ = authn.DeriveSecret(authn.SecretIdentityToken, id, next, seed)
	return next, true
}

// replaced returns the token as it is from when its successor is shown.
func (v *IdentityToken) replaced(now time.Time) *IdentityToken {
	next := *v
	next.Replaced = make([]ReplacedHash, 0, len(v.Replaced)+1)
	for _, r := range v.Replaced {
		if !now.Before(r.Until) {
			r.Seed = nil // nothing leads from there any more
		}
		next.Replaced = append(next.Replaced, r)
	}
	next.Replaced = append(next.Replaced, ReplacedHash{Hash: v.Hash, Until: now.Add(rotationGrace), Seed: v.Seed})
	if n := len(next.Replaced); n > maxReplaced {
		next.Replaced = next.Replaced[n-maxReplaced:]
	}
	next.Hash, next.Used = v.Next, now.Truncate(time.Second)
	return &next
}

// rotate returns the successor of a token, of which shown was shown. Where it
// fails, shown is as good as it was, whatever has become of the change.
func (l *Logins) rotate(ctx context.Context, item *Item[IdentityToken], p *authn.Principal, shown string, c authn.TokenClient) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for {
		if next, ok := item.Value.leads(item.ID, shown); ok {
			l.touch(item)
			return next, nil
		}
		now := l.state.now().UTC()
		var value *IdentityToken
		switch v := item.Value; {
		case v.Next != "" && matches(v.Next, shown):
			value = v.replaced(now)
		case matches(v.Hash, shown): // it was made when tokens were not rotated
			copied := *v
			value = &copied
		default:
			return "", errors.New("nothing leads from it to its successor")
		}
		next := value.follow(item.ID, shown)
		var tx Tx
		Put(&tx, l.state.IdentityTokens, item.ID, value, Unchanged(item))
		tx.Note(Actor{Kind: string(p.Kind), Name: p.Name, ID: item.ID, Remote: c.Remote.String(), RequestID: c.RequestID},
			"identity_token.rotate", Object{Kind: "identity_token", ID: item.ID, Name: p.Name}, nil, nil)
		err := l.state.Commit(ctx, &tx)
		if !errors.Is(err, store.ErrConflict) {
			return next, err
		}
		// Somebody exchanges it at the same time, and there is one successor.
		if item, err = l.changed(ctx, item); err != nil {
			return "", err
		}
	}
}

// changed waits for what somebody else has made of a token.
func (l *Logins) changed(ctx context.Context, item *Item[IdentityToken]) (*Item[IdentityToken], error) {
	for {
		switch now, ok := l.state.IdentityTokens.Get(item.ID); {
		case !ok:
			return nil, fmt.Errorf("%w: the identity token has ended", authn.ErrDisabled)
		case now.Revision != item.Revision:
			return now, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: waiting for the changes of others: %w", store.ErrUnavailable, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
