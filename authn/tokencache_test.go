package authn

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTokenCache(t *testing.T) {
	now := time.Now()
	c := NewTokenCache(64)
	alice, bob := &Principal{Kind: KindUser, Name: "alice"}, &Principal{Kind: KindUser, Name: "bob"}

	if _, ok := c.Get("a", now); ok {
		t.Fatal("empty cache has an entry")
	}
	c.Put("a", alice, now.Add(time.Minute))
	c.Put("b", bob, now.Add(time.Hour))
	if p, ok := c.Get("a", now); !ok || p != alice {
		t.Fatalf("got %v, %v", p, ok)
	}
	if _, ok := c.Get("a", now.Add(time.Minute)); ok {
		t.Error("entry is good at its end")
	}
	c.Put("b", alice, now.Add(time.Hour))
	if p, _ := c.Get("b", now); p != alice {
		t.Error("entry is not replaced")
	}

	generation := c.Generation()
	c.Drop()
	if _, ok := c.Get("b", now); ok {
		t.Error("entry survives Drop")
	}
	c.PutGeneration(generation, "b", bob, now.Add(time.Hour))
	if _, ok := c.Get("b", now); ok {
		t.Error("a check from before Drop is remembered after it")
	}
}

func TestTokenCacheBounded(t *testing.T) {
	now := time.Now()
	c := NewTokenCache(100)
	for i := range 10_000 {
		c.Put(fmt.Sprint(i), Anonymous, now.Add(time.Hour))
	}
	held := 0
	for i := range 10_000 {
		if _, ok := c.Get(fmt.Sprint(i), now); ok {
			held++
		}
	}
	if held > 128 || held < 64 {
		t.Errorf("cache of 100 holds %d entries", held)
	}
}

func TestCacheEvictsLeastRecentlyUsed(t *testing.T) {
	c := newCache[int](ways)
	now := time.Unix(1_800_000_000, 0)
	key := func(i int) *cacheKey { return &cacheKey{31: byte(i)} }
	for i := range ways {
		c.put(0, key(i), i, now.Add(time.Duration(i)*time.Second), now.Add(time.Hour))
	}
	now = now.Add(time.Minute)
	c.get(key(0), now)
	c.put(0, key(99), 99, now, now.Add(time.Hour))
	if _, ok := c.get(key(0), now); !ok {
		t.Error("an entry in use was evicted")
	}
	if _, ok := c.get(key(1), now); ok {
		t.Error("the oldest entry was kept")
	}
	if v, ok := c.get(key(99), now); !ok || v != 99 {
		t.Error("the new entry is missing")
	}
}

func TestTokenCacheConcurrent(t *testing.T) {
	c := NewTokenCache(64)
	now := time.Now()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2_000 {
				token := fmt.Sprint((i + g) % 200)
				if p, ok := c.Get(token, now); ok && p.Name != token {
					t.Errorf("token %s gives %s", token, p.Name)
				}
				c.Put(token, &Principal{Name: token}, now.Add(time.Hour))
				if i%500 == 0 {
					c.Drop()
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTokenCacheHit(b *testing.B) {
	c, now := NewTokenCache(8192), time.Now()
	token := strings.Repeat("a", 700)
	c.Put(token, Anonymous, now.Add(time.Hour))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := c.Get(token, now); !ok {
				b.Error("miss")
			}
		}
	})
}

// TestCacheFindsTheGoodOne: two writers that meet may leave two entries of one
// key. One that has expired does not hide the other, and the next writer leaves
// one.
func TestCacheFindsTheGoodOne(t *testing.T) {
	c, key, now := newCache[int](ways), digest("k"), time.Now()
	leave := func(slot, value int, life time.Duration) {
		c.slots[slot].Store(&cacheEntry[int]{key: key, value: value, until: now.Add(life).UnixNano()})
	}
	leave(0, 1, time.Second)
	leave(1, 2, time.Hour)
	later := now.Add(time.Minute)
	if v, ok := c.get(&key, later); !ok || v != 2 {
		t.Errorf("got %d, %v", v, ok)
	}
	c.put(0, &key, 3, later, later.Add(time.Minute))
	if v, ok := c.get(&key, later); !ok || v != 3 {
		t.Errorf("after a third writer: %d, %v", v, ok)
	}
	if v, ok := c.get(&key, later.Add(time.Minute)); ok {
		t.Errorf("what was replaced comes back: %d", v)
	}
	n := 0
	for i := range c.slots {
		if c.slots[i].Load() != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
}
