package authn

import (
	"fmt"
	"sync"
	"time"
)

// maxSpent is how many tokens that are good once can be outstanding.
const maxSpent = 64 << 10

// SpentTokens remembers, until they expire, tokens that are accepted once
// only. It is bounded: when it is full, further tokens are refused as
// [ErrBusy], for forgetting one would let it be used again. It is safe for
// concurrent use.
type SpentTokens struct {
	limit int

	mu     sync.Mutex
	until  map[cacheKey]time.Time
	pruned time.Time
}

// NewSpentTokens makes an empty table for 65,536 tokens.
func NewSpentTokens() *SpentTokens {
	return &SpentTokens{limit: maxSpent, until: map[cacheKey]time.Time{}}
}

// spend notes that a verified token was used, or says that it was before. The
// key is the identifier and not the text of a token, which can be altered
// without breaking its signature.
func (s *SpentTokens) spend(issuer, jti string, now, until time.Time) error {
	key := digest(issuer + "\x00" + jti)
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, used := s.until[key]; used && now.Before(last) {
		return fmt.Errorf("%w: the token was used before, and it is accepted once", ErrInvalid)
	}
	if len(s.until) >= s.limit {
		s.prune(now)
	}
	if len(s.until) >= s.limit {
		return fmt.Errorf("%w: %d tokens that are accepted once have not expired yet", ErrBusy, len(s.until))
	}
	s.until[key] = until
	return nil
}

// prune forgets expired tokens, at most once a second: it looks at all.
func (s *SpentTokens) prune(now time.Time) {
	if now.Sub(s.pruned) < time.Second && !now.Before(s.pruned) {
		return
	}
	s.pruned = now
	for key, until := range s.until {
		if !now.Before(until) {
			delete(s.until, key)
		}
	}
}
