package boltstore

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Schedule is how often copies of a store are made, where they are, and how many
// are kept.
type Schedule struct {
	Every time.Duration
	Keep  int
	To    string // a folder
}

// copyName is how a copy is called: names sort by time.
const copyName = "state-20060102T150405Z.db"

// retryEvery is how soon a copy that failed is tried again, if the next is not
// due before.
const retryEvery = 10 * time.Minute

// Run makes copies until ctx is done. When the last one was made is read from
// their names, so that a restart changes nothing about it. Open returns the
// store.
func (c Schedule) Run(ctx context.Context, open func(context.Context) (store.Store, error), log *slog.Logger) {
	const look = time.Second // while the store is away
	wait := c.due(time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		s, err := open(ctx)
		if err != nil || s == nil {
			wait = look
			continue
		}
		start := time.Now()
		path, err := c.make(ctx, s, start)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("the scheduled backup of the store failed", "to", c.To, "error", err)
			wait = min(c.Every, retryEvery)
		default:
			log.Info("the store was backed up", "to", path, "took", time.Since(start).String())
			wait = c.due(time.Now())
		}
	}
}

// make makes one copy, and removes those that are too many.
func (c Schedule) make(ctx context.Context, s store.Store, now time.Time) (path string, err error) {
	keeper, ok := s.(store.Keeper)
	if !ok {
		return "", fmt.Errorf("a store of type %T cannot be copied", s)
	}
	if err := os.MkdirAll(c.To, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(c.To, now.UTC().Format(copyName))
	if err := keeper.Backup(ctx, path); err != nil {
		return "", err
	}
	copies := c.copies()
	for _, old := range copies[:max(0, len(copies)-c.Keep)] {
		if err := os.Remove(filepath.Join(c.To, old.Format(copyName))); err != nil {
			return "", fmt.Errorf("removing an old copy: %w", err)
		}
	}
	return path, nil
}

// due is how long it is until the next copy is due.
func (c Schedule) due(now time.Time) time.Duration {
	copies := c.copies()
	if len(copies) == 0 {
		return time.Second // the gateway starts first
	}
	// A clock that was wrong leaves a copy of the future behind, which must not
	// keep the next ones from being made.
	return min(max(time.Second, c.Every-now.Sub(copies[len(copies)-1])), c.Every)
}

// copies are the times of the copies that are there, the newest last. Files with
// other names are somebody else's.
func (c Schedule) copies() (times []time.Time) {
	entries, err := os.ReadDir(c.To)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if at, err := time.Parse(copyName, e.Name()); err == nil {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}
