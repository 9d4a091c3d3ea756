package authn

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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
		t.Errorf("an old password is shown for ever: %v", err)
	}
	now = now.Add(failedBindWindow)
	if err := try("alice", right); err != nil {
		t.Errorf("after the window: %v", err)
	}
}
