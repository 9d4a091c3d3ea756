package authn

import (
	"testing"
	"time"
)

// TestBreaker: a service that fails five times within half a minute is left
// alone for half a minute, and then asked once at a time.
func TestBreaker(t *testing.T) {
	var b breaker
	at := time.Unix(1_000_000, 0)
	fail := func(n int) (opened bool) {
		for range n {
			if opened {
				t.Fatal("opened early")
			}
			opened = b.note(false, at)
		}
		return opened
	}
	if fail(4) || !b.admits(at) {
		t.Fatal("opened by four failures")
	}
	b.note(true, at)
	if fail(4) || !b.admits(at) {
		t.Fatal("an answer does not close the count")
	}
	at = at.Add(breakerWindow + time.Nanosecond)
	if fail(4) || !b.admits(at) {
		t.Fatal("failures of another time count")
	}
	at = at.Add(breakerWindow)
	if !fail(1) || b.admits(at) {
		t.Fatal("five failures do not open it")
	}
	if b.note(false, at) {
		t.Error("opened twice") // by a question that was under way
	}
	at = at.Add(breakerPause - time.Nanosecond)
	if b.admits(at) {
		t.Error("asked during the pause")
	}
	at = at.Add(time.Nanosecond)
	if !b.admits(at) || b.admits(at) {
		t.Error("not one question after the pause")
	}
	if b.note(false, at) || b.admits(at.Add(breakerPause-time.Nanosecond)) {
		t.Error("one more failure does not prolong the pause")
	}
	if at = at.Add(breakerPause); !b.admits(at) || b.note(true, at) || !b.admits(at) || !b.admits(at) {
		t.Error("an answer does not close it")
	}
}

func TestRechecksAtTheirBounds(t *testing.T) {
	for every, want := range map[time.Duration]bool{0: true, minRecheck: true, minRecheck - 1: false, 24 * time.Hour: true, 24*time.Hour + 1: false, -1: true} {
		if err := (RecheckConfig{Recheck: Duration(every)}).checkRechecks(); (err == nil) != want {
			t.Errorf("recheck %s: %v", every, err)
		}
	}
	for age, want := range map[time.Duration]bool{0: true, time.Minute: true, time.Minute - 1: false, -1: true} {
		if err := (RecheckConfig{SignInMaxAge: Duration(age)}).checkRechecks(); (err == nil) != want {
			t.Errorf("sign_in_max_age %s: %v", age, err)
		}
	}
}

type ownsNothing struct{ Authenticator }

func (ownsNothing) OwnsScheme(Scheme) bool { return false }

// TestSchemesAreOfTheirOwners: what is neither Basic nor Bearer is offered to
// those only that ask for it.
func TestSchemesAreOfTheirOwners(t *testing.T) {
	if takes(ownsNothing{}, SchemeIdentityToken) || !takes(ownsNothing{}, SchemeBasic) || !takes(ownsNothing{}, SchemeBearer) {
		t.Error("an authenticator is offered what it does not own")
	}
	chain := NewChain([]Member{NewMember("local", ownsNothing{})}, nil)
	if name, ok := chain.withUsersOf(""); ok {
		t.Errorf("%s has the users of no issuer", name)
	}
}
