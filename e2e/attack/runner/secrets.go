package runner

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// secrets are values that may appear in no log line and no answer.
type secrets struct {
	values []string
	seen   map[string]bool
}

// add remembers a secret. Of a token it is the signature: header and claims
// alone open no door, the whole is found by its end.
func (s *secrets) add(value string) {
	if i := strings.LastIndex(value, "."); i >= 0 && strings.Count(value, ".") == 2 {
		value = value[i+1:]
	}
	value = strings.TrimSpace(value)
	if len(value) < 12 || s.seen[value] { // too short to be told from chance
		return
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[value] = true
	s.values = append(s.values, value)
}

// in returns the first secret found in text, shortened.
func (s *secrets) in(text string) (string, bool) {
	for _, value := range s.values {
		if strings.Contains(text, value) {
			return fmt.Sprintf("%.8s… (%d characters)", value, len(value)), true
		}
	}
	return "", false
}

// patience is how long a change at the identity provider may take to arrive.
const patience = 45 * time.Second

// poll calls check every 200 ms until it succeeds or patience ends.
func poll(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
