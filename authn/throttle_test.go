package authn

import (
	"errors"
	"fmt"
	"net/netip"
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
