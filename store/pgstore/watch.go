package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

const (
	// pollEvery is how often a watcher looks for itself: a notification may
	// get lost on the way, through a connection pooler for example.
	pollEvery = 500 * time.Millisecond
	// pollLimit is how long that may take. Then the connection is given up.
	pollLimit = 2 * time.Second
)

// Watch delivers changes. It has a connection of its own, and returns
// [store.ErrUnavailable] when that is lost, at once or, if the network
// just falls silent, within three seconds: call it again, with the number of the last batch.
func (s *Store) Watch(ctx context.Context, realm string, after store.Position, deliver func(store.Batch)) error {
	if err := engine.CheckRealm(realm); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	if ctx.Err() != nil {
		return nil
	}
	err := s.watch(ctx, realm, after, deliver)
	if ctx.Err() != nil {
		return nil
	}
	return s.explain(err)
}

func (s *Store) watch(ctx context.Context, realm string, after store.Position, deliver func(store.Batch)) error {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // says goodbye if it can
	}()
	if err := s.listen(ctx, conn); err != nil {
		return err
	}
	for first := true; ; first = false {
		changed, mark, err := s.poll(ctx, conn, realm, after)
		if err != nil {
			return err
		}
		if changed {
			batch, err := s.changes(ctx, conn, realm, after)
			if err != nil {
				return err
			}
			deliver(batch)
			after = batch.Position()
		} else if first {
			after.Mark = mark
			deliver(store.Batch{Sequence: after.Sequence, Mark: mark})
		}
		if err := wait(ctx, conn, realm); err != nil {
			return err
		}
	}
}

func (s *Store) listen(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := conn.Exec(ctx, listenSQL)
	return err
}

// poll reports whether the realm has changed, and the mark of the position.
func (s *Store) poll(ctx context.Context, conn *pgx.Conn, realm string, after store.Position) (changed bool, mark uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	var sequence, trimmed uint64
	err = conn.QueryRow(ctx, s.sql(numbersSQL), realm, after.Sequence).Scan(&sequence, &trimmed, &mark)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // nothing was ever written: all are 0
		return false, 0, err
	}
	return sequence != after.Sequence, mark, engine.Known(after, sequence, trimmed, mark)
}

// changes reads what changed after a position.
func (s *Store) changes(ctx context.Context, conn *pgx.Conn, realm string, after store.Position) (store.Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	rows, err := conn.Query(ctx, s.sql(changesSQL), realm, after.Sequence)
	if err != nil {
		return store.Batch{}, err
	}
	found, err := collect(rows)
	if err != nil {
		return store.Batch{}, err
	}
	return found.Batch, engine.Known(after, found.Sequence, found.trimmed, found.mark)
}

// wait returns when the realm may have changed.
func wait(ctx context.Context, conn *pgx.Conn, realm string) error {
	ctx, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(ctx)
		switch {
		case err == nil && n.Payload == realm:
			return nil
		case err == nil:
		case pgconn.Timeout(err) && !conn.IsClosed():
			return nil
		default:
			return err
		}
	}
}
