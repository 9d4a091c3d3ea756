package authn

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Directories lock an account after some wrong passwords, five for example, and
// count for a while. What is guessed here must not lock anybody out there.
const (
	failedBinds        = 3 // wrong passwords of one account within failedBindWindow
	failedBindWindow   = 30 * time.Minute
	failedBindAccounts = 16384 // of each of two generations
)

// failedBindBudget is how many wrong passwords a system elsewhere is shown for
// each account. The password that was right last is shown all the same, so that
// a flood of guesses does not shut its owner out. It is safe for concurrent use.
type failedBindBudget struct {
	macs         *processMAC
	mu           sync.Mutex
	newer, older map[string]*boundAccount
}

type boundAccount struct {
	failed []time.Time // the oldest first
	asking int         // questions that are under way, which count as failures
	right  cacheKey    // of the password that was right last; zero: none was
}

func newFailedBindBudget() failedBindBudget { return failedBindBudget{macs: newProcessMAC()} }

// ask asks whether a password of an account is right, unless the budget is
// spent: then it is a [*ThrottledError], and nobody is asked. Question reports
// whether its answer counts as a failure where it is asked.
func (b *failedBindBudget) ask(account, password string, now func() time.Time, question func() (failed bool, err error)) error {
	account = foldAccount(account)
	secret := b.macs.sum(account, password)
	if wait := b.begin(account, secret, now()); wait > 0 {
		return &ThrottledError{RetryAfter: wait, Err: fmt.Errorf(
			"%w: %d wrong passwords for this account within %s: more are not shown to where it is kept, which could lock the account",
			ErrInvalid, failedBinds, failedBindWindow)}
	}
	failed, err := question()
	b.end(account, secret, now(), failed, err == nil)
	return err
}

// begin reserves a question, or returns how long there is none.
func (b *failedBindBudget) begin(account string, secret cacheKey, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(account)
	for len(a.failed) > 0 && now.Sub(a.failed[0]) >= failedBindWindow {
		a.failed = a.failed[1:]
	}
	if len(a.failed)+a.asking >= failedBinds && secret != a.right {
		if len(a.failed) == 0 {
			return time.Second // it depends on those that are under way
		}
		return max(time.Second, a.failed[0].Add(failedBindWindow).Sub(now))
	}
	a.asking++
	return 0
}

// end settles a question. A right password has the directory forget the wrong
// ones, and so do we.
func (b *failedBindBudget) end(account string, secret cacheKey, now time.Time, failed, right bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(account)
	a.asking = max(0, a.asking-1)
	switch {
	case failed:
		a.failed = append(a.failed, now)
		if secret == a.right { // it was changed
			a.right = cacheKey{}
		}
	case right:
		a.failed, a.right = nil, secret
	}
}

// account returns what is known of an account. Of too many those are forgotten
// that were quiet longest.
func (b *failedBindBudget) account(name string) *boundAccount {
	if a := b.newer[name]; a != nil {
		return a
	}
	a := b.older[name]
	if a == nil {
		a = &boundAccount{}
	}
	if b.newer == nil || len(b.newer) >= failedBindAccounts {
		b.newer, b.older = map[string]*boundAccount{}, b.newer
	}
	b.newer[strings.Clone(name)] = a
	return a
}

// foldAccount is an account's name as directories compare it.
func foldAccount(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), " "))
}
