package state

import (
	"context"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// guardHistory is the guard that tells the history of a store that was restored
// from the one before. It is there for as long as guards are, which is longer than
// the order of changes decides about tokens.
const guardHistory = "history"

// loaded is when everything was read from the store, and up to which change.
type loaded struct {
	at       time.Time
	sequence uint64
}

// AsOf returns up to which change of which history of the store everything is known
// here.
func (s *State) AsOf() (sequence uint64, history int64) {
	history = s.mark.Load() // first: it is set after the number
	return s.seen.Load(), history
}

// followHistory takes the mark of the history that the tables are now of. Where there
// is one gateway, that is of when it has read everything: nobody else must know it,
// and nothing tells a file that was restored while it was stopped.
func (s *State) followHistory() {
	if !s.options.Shared {
		s.mark.Store(s.loaded.Load().at.UnixMicro())
		return
	}
	if item, ok := s.Guards.Get(guardHistory); ok {
		s.mark.Store(item.Value.Changed.UnixMicro())
	} else {
		s.mark.Store(0)
	}
}

// markHistory tells everybody that the store has another history than before, if
// this gateway has noticed: numbers of the one before say nothing in it.
func (s *State) markHistory(ctx context.Context) {
	if !s.unmarked || !s.options.Shared {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	var tx Tx
	Put(&tx, s.Guards, guardHistory, &Guard{Changed: s.now().UTC()}, store.Precondition{})
	if err := s.Commit(ctx, &tx); err != nil {
		s.options.Log.Warn("the history of the store cannot be marked as another one yet", "realm", s.realm, "error", err)
		return
	}
	s.unmarked = false
}

// knew returns up to which change a gateway knew what there is that has issued
// something. A number of another history says nothing: neither one of before a
// restore, nor a higher one than there was when this gateway read everything after
// the issue. Times of issue are whole seconds, so that the latter may be said of what
// it issues itself in the second that it started in: that is asked for again then.
func (s *State) knew(p *authn.Principal) uint64 {
	if p.AsOf == 0 {
		return 0
	}
	l := s.loaded.Load()
	if p.History != s.mark.Load() || p.AsOf > l.sequence && p.Issued.Before(l.at) {
		return 1 // nothing
	}
	return p.AsOf
}
