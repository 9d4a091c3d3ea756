package gateway

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTagLocks(t *testing.T) {
	l := NewTagLocks()
	unlock, err := l.lock(t.Context(), "a", []string{"x", "y", "x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.lock(ctx, "a", []string{"y"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a held tag was taken: %v", err)
	}
	// What it had of the others it has given back.
	if _, err := l.lock(ctx, "a", []string{"a", "y"}); err == nil || len(l.held) != 2 {
		t.Fatalf("%v, %d are held", err, len(l.held))
	}
	unlock()
	if len(l.held) != 0 {
		t.Fatalf("%d locks left", len(l.held))
	}
}
