package state_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// silentStore makes a change and does not say so, once.
type silentStore struct {
	store.Store
	mu     sync.Mutex
	silent bool
}

func (s *silentStore) Apply(ctx context.Context, realm string, changes []store.Change, history ...store.Entry) (uint64, error) {
	n, err := s.Store.Apply(ctx, realm, changes, history...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent && err == nil {
		s.silent = false
		return 0, store.ErrUnavailable
	}
	return n, err
}

// TestRotatedTokenWhoseAnswerIsLost: what a client was told to keep is good
// later, whether the store has taken the rotation or not.
func TestRotatedTokenWhoseAnswerIsLost(t *testing.T) {
	s := &silentStore{Store: memstore.New()}
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, s)
	kept := x.issue()
	for range 4 {
		s.mu.Lock()
		s.silent = true
		s.mu.Unlock()
		kept = x.exchange(kept)
		time.Sleep(50 * time.Millisecond) // the store tells
		x.advance(2 * time.Minute)
	}
	x.exchange(kept)
}

// TestTokenWhoseSuccessorNeverArrived: a client that did not get the answer goes
// on with what it has, however late it tries again.
func TestTokenWhoseSuccessorNeverArrived(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	kept := x.exchange(x.issue())
	lost := x.exchange(kept)
	x.advance(time.Hour)
	if again := x.exchange(kept); again != lost {
		t.Error("another successor")
	}
	// Once the successor was shown, what it replaces ends.
	x.exchange(lost)
	x.exchange(kept) // which may have been on its way at the time
	x.advance(2 * time.Minute)
	if _, err := x.show(kept); !errors.Is(err, authn.ErrExpired) {
		t.Errorf("after its successor was shown: %v", err)
	}
	if _, err := x.show(lost); err == nil {
		t.Error("the successor goes on although an old one was shown")
	}
}

// TestSuccessorsOfOneTokenAreOne: however many exchange a token at once, at
// whichever gateway, each can go on with what it was told to keep.
func TestSuccessorsOfOneTokenAreOne(t *testing.T) {
	shared := memstore.New()
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, shared)
	other := gateway(t, shared, state.Options{Now: x.now}).NewLogins(state.LoginConfig{Lifetime: 24 * time.Hour, Rotate: true}, nil)
	kept := x.issue()
	for round := range 4 {
		p := x.alice
		eventually(t, "the token is known everywhere", func() bool {
			credential := &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: kept, Remote: x.from.Remote}
			_, err := other.Authenticate(t.Context(), credential)
			if err == nil {
				p, err = x.logins.Authenticate(t.Context(), credential)
			}
			return err == nil
		})
		got := make(chan string, 32)
		var group sync.WaitGroup
		for i := range 32 {
			group.Go(func() {
				logins := x.logins
				if i%2 == 1 {
					logins = other
				}
				next, err := logins.ExchangeIdentityToken(t.Context(), p, kept, x.from)
				if err != nil {
					t.Error(err)
				}
				got <- next
			})
		}
		group.Wait()
		close(got)
		successors := map[string]bool{}
		for next := range got {
			successors[next] = true
		}
		if len(successors) != 1 || successors[kept] {
			t.Fatalf("round %d: %d successors, itself among them: %v", round, len(successors), successors[kept])
		}
		for next := range successors {
			kept = next
		}
		x.advance(2 * time.Minute)
	}
}

// TestReplacedTokenLeadsToTheNewest: within the grace a replaced token leads to
// what the others keep by then.
func TestReplacedTokenLeadsToTheNewest(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	first := x.issue()
	second := x.exchange(first)
	third := x.exchange(second)
	fourth := x.exchange(third)
	for i, secret := range []string{first, second, third} {
		if got := x.exchange(secret); got != fourth {
			t.Errorf("%d leads to another one", i)
		}
	}
	x.advance(2 * time.Minute)
	x.exchange(fourth)
	x.advance(2 * time.Minute)
	if _, err := x.show(second); !errors.Is(err, authn.ErrExpired) {
		t.Errorf("an old one: %v", err)
	}
}

// TestTokenOfBeforeRotationWasOn: a token that was given out earlier begins to
// rotate, also where it is exchanged twice at once.
func TestTokenOfBeforeRotationWasOn(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{}, memstore.New())
	kept := x.issue()
	x.logins = x.state.NewLogins(state.LoginConfig{Lifetime: 24 * time.Hour, Rotate: true}, nil)
	next := x.exchange(kept)
	if next == kept || x.exchange(kept) != next {
		t.Fatal("it does not rotate")
	}
	// And goes on where it is switched off again.
	x.logins = x.state.NewLogins(state.LoginConfig{Lifetime: 24 * time.Hour}, nil)
	if x.exchange(next) != next {
		t.Error("rotated")
	}
}

// TestOldTokensLeadNowhere: nothing that is stored leads from a token which was
// replaced long ago to the one that is good now.
func TestOldTokensLeadNowhere(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	kept := x.issue()
	for range 4 {
		kept = x.exchange(kept)
		x.advance(2 * time.Minute)
	}
	x.exchange(kept)
	for item := range x.state.IdentityTokens.All() {
		for i, r := range item.Value.Replaced {
			if r.Seed != nil && !x.now().Before(r.Until) {
				t.Errorf("of %d replaced ones, %d leads on", len(item.Value.Replaced), i)
			}
		}
	}
}

// TestRandomExchanges: several clients that share a token, lost answers and
// several gateways never end it, as long as each goes on with what it was told
// last and nobody waits for longer than the grace with an old one.
func TestRandomExchanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 30 {
		s := &silentStore{Store: memstore.New()}
		x := newLoginStage(t, state.LoginConfig{Rotate: true}, s)
		first := x.issue()
		clients := []string{first, first, first}
		last := first
		for step := range 30 {
			who := r.IntN(len(clients))
			if r.IntN(4) == 0 {
				s.mu.Lock()
				s.silent = true
				s.mu.Unlock()
			}
			p, err := x.show(clients[who])
			if err != nil {
				t.Fatalf("seed %d, round %d, step %d: %v", seed, round, step, err)
			}
			next, err := x.logins.ExchangeIdentityToken(t.Context(), p, clients[who], x.from)
			if err != nil {
				t.Fatalf("seed %d, round %d, step %d: %v", seed, round, step, err)
			}
			if r.IntN(4) > 0 { // or the answer is lost
				clients[who], last = next, next
			}
			time.Sleep(2 * time.Millisecond) // the store tells
			if r.IntN(5) == 0 {              // all read what was stored last, and rest
				for i := range clients {
					clients[i] = last
				}
				x.advance(2 * time.Minute)
			}
		}
	}
}

// TestRevokedTokenHasNoSuccessor: what is revoked while it is exchanged has
// ended, whichever of the two comes first.
func TestRevokedTokenHasNoSuccessor(t *testing.T) {
	s := memstore.New()
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, s)
	watching := gateway(t, s, state.Options{Now: x.now})
	alive := 0
	for range 300 {
		kept := x.exchange(x.issue()) // the next exchange writes
		p, err := x.show(kept)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := authn.ParseSecret(kept)
		next := kept
		var group sync.WaitGroup
		group.Go(func() {
			if got, err := x.logins.ExchangeIdentityToken(t.Context(), p, kept, x.from); err == nil {
				next = got
			}
		})
		group.Go(func() {
			if err := x.logins.Revoke(t.Context(), kept, x.from); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		eventually(t, "the revocation is known", func() bool { _, ok := watching.IdentityTokens.Get(id.ID); return !ok })
		for _, secret := range []string{kept, next} {
			if _, err := x.show(secret); err == nil {
				alive++
			}
		}
	}
	if alive > 0 {
		t.Errorf("%d of 300 live", alive)
	}
}
