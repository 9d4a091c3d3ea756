package state

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// maxSightings bounds the users who wait to be written down; more than that at
// once are written down when they come again.
const maxSightings = 1024

// Seen notes that a user was authenticated by something outside: an identity
// provider, a directory, a password file. It returns at once; the record is
// written in the background, and only if it says anything new.
func (s *State) Seen(p *authn.Principal) {
	select {
	case s.sightings <- p:
	default:
	}
}

// watchSightings writes users down.
func (s *State) watchSightings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.sightings:
			s.writeSighting(ctx, p)
		}
	}
}

func (s *State) writeSighting(ctx context.Context, p *authn.Principal) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for range 3 {
		id, user, before, changed := s.See(p)
		if !changed {
			return
		}
		var tx Tx
		s.PutUser(&tx, id, user, before)
		err := s.Commit(ctx, &tx)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrConflict) {
			s.options.Log.Warn("writing down a user", "realm", s.realm, "error", err)
			return
		}
		// Another gateway was faster: its change is here in a moment.
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
