package authn

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// stub is an authenticator that answers as told.
type stub struct {
	principal *Principal
	err       error
	asked     int
	rechecked error
	equalized int
	busy      error
}

func (s *stub) Authenticate(context.Context, *Credential) (*Principal, error) {
	s.asked++
	return s.principal, s.err
}
func (s *stub) Recheck(*Principal, *Credential) error { return s.rechecked }
func (s *stub) EqualizeCost() float64 {
	if s.busy != nil {
		return 1
	}
	return 0
}

func (s *stub) Equalize(context.Context, *Credential) error {
	s.equalized++
	return s.busy
}

func TestChain(t *testing.T) {
	alice := &Principal{Kind: KindUser, Name: "alice"}
	shown := &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "x"}
	for _, test := range []struct {
		name          string
		first, second stub
		c             *Credential
		err           error
		asked         int
		by            string
	}{
		{name: "first", first: stub{principal: alice}, c: shown, asked: 1, by: "one"},
		{name: "second", first: stub{err: ErrNotMine}, second: stub{principal: alice}, c: shown, asked: 2, by: "two"},
		{name: "named already", first: stub{principal: &Principal{Kind: KindUser, Name: "alice", Authenticator: "issuer"}}, c: shown, asked: 1, by: "issuer"},
		{name: "wrong ends it", first: stub{err: ErrInvalid}, second: stub{principal: alice}, c: shown, err: ErrInvalid, asked: 1},
		{name: "away ends it", first: stub{err: ErrUnavailable}, second: stub{principal: alice}, c: shown, err: ErrUnavailable, asked: 1},
		{name: "unknown failure ends it", first: stub{err: errors.ErrUnsupported}, second: stub{principal: alice}, c: shown, err: errors.ErrUnsupported, asked: 1},
		{name: "nobody's", first: stub{err: ErrNotMine}, second: stub{err: ErrNotMine}, c: shown, err: ErrInvalid, asked: 2},
		{name: "nobody's, but busy", first: stub{err: ErrNotMine, busy: ErrBusy}, second: stub{err: ErrNotMine}, c: shown, err: ErrBusy, asked: 2},
		{name: "no principal", c: shown, err: ErrInvalid, asked: 1},
		{name: "empty password", first: stub{principal: alice}, c: &Credential{Scheme: SchemeBasic, Username: "alice"}, err: ErrInvalid},
		{name: "control in user", first: stub{principal: alice}, c: &Credential{Scheme: SchemeBasic, Username: "a\n", Secret: "x"}, err: ErrInvalid},
		{name: "long user", first: stub{principal: alice}, c: &Credential{Scheme: SchemeBasic, Username: strings.Repeat("a", 300), Secret: "x"}, err: ErrInvalid},
		{name: "long secret", first: stub{principal: alice}, c: &Credential{Scheme: SchemeBearer, Secret: strings.Repeat("a", 20_000)}, err: ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			ch := NewChain([]Member{NewMember("one", &test.first), NewMember("two", &test.second)}, NewThrottle(nil))
			p, err := ch.Authenticate(t.Context(), test.c)
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil && p.Authenticator != test.by {
				t.Errorf("authenticator %q, want %q", p.Authenticator, test.by)
			}
			if err != nil && p != nil {
				t.Error("principal together with an error")
			}
			if n := test.first.asked + test.second.asked; n != test.asked {
				t.Errorf("%d were asked, want %d", n, test.asked)
			}
			if alice.Authenticator != "" {
				t.Error("a shared principal was changed")
			}
		})
	}
	if p, err := NewChain(nil, nil).Authenticate(t.Context(), &Credential{}); err != nil || !p.IsAnonymous() {
		t.Errorf("no credential: %v, %v", p, err)
	}
}

func TestChainRecheck(t *testing.T) {
	good, bad := &stub{}, &stub{rechecked: ErrExpired}
	ch := NewChain([]Member{NewMember("good", good), NewMember("bad", bad)}, nil)
	for by, want := range map[string]error{"good": nil, "bad": ErrExpired, "gone": ErrDisabled, "": ErrDisabled} {
		err := ch.Recheck(&Principal{Kind: KindUser, Authenticator: by}, &Credential{})
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%q: %v, want %v", by, err, want)
		}
	}
	if err := ch.Recheck(Anonymous, &Credential{}); err != nil {
		t.Errorf("anonymous: %v", err)
	}
}

func TestChainThrottles(t *testing.T) {
	ch := NewChain([]Member{NewMember("one", &stub{err: ErrInvalid})}, NewThrottle(nil))
	throttled := false
	for i := range 12 {
		_, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "ci", Secret: strings.Repeat("x", i+1), Remote: here})
		throttled = errors.As(err, new(*ThrottledError))
		if !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	if !throttled {
		t.Error("twelve guesses are not throttled")
	}
	ch.list[0].Authenticator = &stub{principal: &Principal{Kind: KindRobot, Name: "ci"}}
	if _, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "ci", Secret: "right", Remote: here}); err != nil {
		t.Errorf("the right secret after wrong ones: %v", err)
	}
}
