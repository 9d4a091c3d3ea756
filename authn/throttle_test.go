package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	here      = netip.MustParseAddr("192.0.2.1")
	elsewhere = netip.MustParseAddr("192.0.2.2")
)

func TestThrottle(t *testing.T) {
	now := time.Now()
	th := NewThrottle(func() time.Time { return now })
	attempts := 0
	guess := func(from netip.Addr, user string) time.Duration {
		attempts++
		err := th.Failed(&Credential{Scheme: SchemeBasic, Username: user, Secret: fmt.Sprint(attempts), Remote: from}, ErrInvalid)
		if !errors.Is(err, ErrInvalid) {
			t.Fatalf("lost why: %v", err)
		}
		var throttled *ThrottledError
		if errors.As(err, &throttled) {
			return throttled.RetryAfter
		}
		return 0
	}
	for i := range 10 {
		if d := guess(here, "robot$ci"); d != 0 {
			t.Fatalf("guess %d: wait %s", i+1, d)
		}
	}
	last := time.Duration(0)
	for i, spelling := range []string{"ci", "robot-ci", "ROBOT$CI", " Ci ", "robot$ci"} {
		d := guess(here, spelling)
		if d <= last {
			t.Fatalf("guess %d over the limit: wait %s after %s", i+1, d, last)
		}
		last = d
	}
	if d := guess(elsewhere, "ci"); d != 0 {
		t.Errorf("another address waits %s", d)
	}
	if d := guess(here, "alice"); d != 0 {
		t.Errorf("another account waits %s", d)
	}
	for range 2000 {
		last = guess(here, "ci")
	}
	if last != throttleMost {
		t.Errorf("the delay grows to %s, want %s", last, throttleMost)
	}
	now = now.Add(strikeWindow + time.Second)
	if d := guess(here, "ci"); d != 0 {
		t.Errorf("after the window: wait %s", d)
	}
}

// A client that goes on with a few wrong secrets has guessed that often, and
// the answer stays what it was.
func TestThrottleSameSecret(t *testing.T) {
	th := NewThrottle(nil)
	try := func(secret string) error {
		return th.Failed(&Credential{Scheme: SchemeBasic, Username: "alice", Secret: secret, Remote: here}, ErrInvalid)
	}
	for i := range 400 {
		if err := try(fmt.Sprint("old", i%strikeSecrets)); err != ErrInvalid {
			t.Fatalf("attempt %d with one of %d secrets: %v", i, strikeSecrets, err)
		}
	}
	for i := range strikeLimit - strikeSecrets {
		if err := try(fmt.Sprint("guess", i)); err != ErrInvalid {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	var first, again *ThrottledError
	if !errors.As(try("last"), &first) || !errors.As(try("last"), &again) || first.RetryAfter != again.RetryAfter {
		t.Errorf("one too many: %v, and the same again: %v", first, again)
	}
}

func TestThrottleIgnores(t *testing.T) {
	th := NewThrottle(nil)
	for i := range 100 {
		secret := fmt.Sprint(i)
		for _, test := range []struct {
			scheme Scheme
			err    error
		}{
			{SchemeBearer, ErrInvalid},
			{SchemeBasic, ErrExpired},
			{SchemeBasic, ErrUnavailable},
			{SchemeBasic, ErrBusy},
			{SchemeBasic, ErrDisabled},
		} {
			err := th.Failed(&Credential{Scheme: test.scheme, Username: "a", Secret: secret, Remote: here}, test.err)
			if err != test.err {
				t.Fatalf("%s, %v: %v", test.scheme, test.err, err)
			}
		}
	}
}

func TestThrottleIPv6Prefix(t *testing.T) {
	th := NewThrottle(nil)
	throttled := false
	for i := range 20 {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
		err := th.Failed(&Credential{Scheme: SchemeBasic, Username: "a", Secret: fmt.Sprint(i), Remote: from}, ErrInvalid)
		throttled = errors.As(err, new(*ThrottledError))
	}
	if !throttled {
		t.Error("changing the address within a /64 avoids the throttle")
	}
}

func TestThrottleBounded(t *testing.T) {
	th := NewThrottle(nil)
	for i := range 300_000 {
		_ = th.Failed(&Credential{Scheme: SchemeBasic, Username: fmt.Sprint(i), Secret: "x", Remote: here}, ErrInvalid)
	}
	entries := 0
	for i := range th.shards {
		entries += len(th.shards[i].newer) + len(th.shards[i].older)
	}
	if entries > 2*throttleShards*throttlePerShard || entries < throttleShards*throttlePerShard {
		t.Errorf("%d accounts are remembered", entries)
	}
}

func BenchmarkThrottle(b *testing.B) {
	th := NewThrottle(nil)
	c := &Credential{Scheme: SchemeBasic, Username: "robot$ci", Secret: "wrong", Remote: here}
	b.ReportAllocs()
	for b.Loop() {
		_ = th.Failed(c, ErrInvalid)
	}
}

func TestFailedBindsStayBelowALockOut(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	b := newFailedBindBudget()
	var binds atomic.Int32
	right := "right"
	try := func(account, password string) error {
		return b.ask(account, password, clock, func() (bool, error) {
			binds.Add(1)
			if password == right {
				return false, nil
			}
			return true, ErrInvalid
		})
	}
	if err := try("alice", right); err != nil {
		t.Fatal(err)
	}
	binds.Store(0)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() { _ = try([]string{"alice", "ALICE", " alice "}[i%3], fmt.Sprint("guess", i)) })
	}
	all.Wait()
	if n := binds.Load(); n > failedBinds {
		t.Errorf("%d binds, want at most %d", n, failedBinds)
	}
	for range failedBinds { // those that waited for others may have had none
		_ = try("alice", "one more")
	}
	err := try("alice", "another")
	var throttled *ThrottledError
	if !errors.As(err, &throttled) || !errors.Is(err, ErrInvalid) || throttled.RetryAfter > failedBindWindow || throttled.RetryAfter < failedBindWindow/2 {
		t.Errorf("beyond the budget: %v", err)
	}
	if err := try("bob", "guess"); errors.As(err, &throttled) {
		t.Error("another account pays for it")
	}
	// The owner is not shut out, and gives the budget back as the directory does.
	before := binds.Load()
	if err := try("alice", right); err != nil || binds.Load() != before+1 {
		t.Errorf("the right password: %v", err)
	}
	if err := try("alice", "guess again"); errors.As(err, &throttled) {
		t.Error(err)
	}
	// A password that was right before is shown once more, and then is a guess.
	if err := try("alice", right); err != nil {
		t.Fatal(err)
	}
	old := right
	right = "new"
	for range failedBinds {
		_ = try("alice", old)
	}
	if err := try("alice", old); !errors.As(err, &throttled) {
		t.Errorf("an old password is shown without end: %v", err)
	}
	now = now.Add(failedBindWindow)
	if err := try("alice", right); err != nil {
		t.Errorf("after the window: %v", err)
	}
}
