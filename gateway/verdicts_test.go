package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

func TestVerdictsAreRemembered(t *testing.T) {
	v := NewVerdicts()
	now := time.Now()
	v.now = func() time.Time { return now }
	looks, result := 0, error(nil)
	ask := func(key byte) error {
		return v.of(t.Context(), verdictKey{key}, func(bool) error { looks++; return result })
	}
	silent := errors.New("silent")
	for i, step := range []struct {
		after  time.Duration
		result error
		want   error
		looks  int
	}{
		{0, silent, silent, 1},
		{0, signature.ErrUnsigned, signature.ErrUnsigned, 2}, // silence was not remembered
		{unsignedFor - 1, nil, signature.ErrUnsigned, 2},
		{1, nil, nil, 3},
		{signedFor - 1, signature.ErrUntrusted, nil, 3},
		{1, signature.ErrUntrusted, signature.ErrUntrusted, 4},
	} {
		now, result = now.Add(step.after), step.result
		if err := ask(1); !errors.Is(err, step.want) || looks != step.looks {
			t.Errorf("step %d: %v after %d looks", i, err, looks)
		}
	}
	v.list([]verdictKey{{1}})
	if err := v.of(t.Context(), verdictKey{1}, func(listed bool) error {
		if !listed {
			return signature.ErrUnsigned
		}
		return nil
	}); err != nil {
		t.Errorf("listed in a signed index: %v", err)
	}
}

func TestVerdictsAreFoundOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := NewVerdicts()
		var looks atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := v.of(t.Context(), verdictKey{}, func(bool) error {
					looks.Add(1)
					time.Sleep(time.Second)
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := v.of(ctx, verdictKey{}, func(bool) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who gives up waiting: %v", err)
			}
		})
		wg.Wait()
		if looks.Load() != 1 || len(v.flights) != 0 {
			t.Errorf("%d looks, %d under way", looks.Load(), len(v.flights))
		}
	})
}

func TestRememberedIsBounded(t *testing.T) {
	r, now := newRemembered(3), time.Now()
	key := func(i int) verdictKey { return verdictKey{byte(i)} }
	for i := range 3 {
		r.put(key(i), nil, now.Add(time.Hour))
	}
	r.get(key(0), now)
	r.put(key(3), nil, now.Add(time.Hour))
	var kept []int
	for i := range 4 {
		if ok, _ := r.get(key(i), now); ok {
			kept = append(kept, i)
		}
	}
	if fmt.Sprint(kept) != "[0 2 3]" || r.order.Len() != 3 {
		t.Errorf("kept %v", kept)
	}
	if ok, _ := r.get(key(0), now.Add(time.Hour)); ok || len(r.entries) != 2 {
		t.Error("an entry outlives its time")
	}
}

// TestChildOfASignedIndexIsNotRefused: what is being looked at when an index
// that lists it is found to be signed is not remembered as unsigned.
func TestChildOfASignedIndexIsNotRefused(t *testing.T) {
	v := NewVerdicts()
	child := verdictKey{1}
	look := func(listed bool) error {
		if listed {
			return nil
		}
		return signature.ErrUnsigned
	}
	err := v.of(t.Context(), child, func(listed bool) error {
		result := look(listed)
		if !listed {
			v.list([]verdictKey{child}) // a signed index lists it
		}
		return result
	})
	if err != nil {
		t.Errorf("the one who asked in that moment: %v", err)
	}
	if err := v.of(t.Context(), child, look); err != nil {
		t.Errorf("the next one: %v", err)
	}
	// However little time there was.
	other := verdictKey{2}
	v.list([]verdictKey{other})
	v.remember(other, signature.ErrUnsigned)
	if err := v.of(t.Context(), other, look); err != nil {
		t.Errorf("between the look and the memory: %v", err)
	}
}
