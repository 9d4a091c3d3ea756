package management

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// resetFile is the name of the file, in the realm's directory, whose content
// is the reset index.
const resetFile = "bootstrap-reset"

// ResetFile returns the path of the file that reopens bootstrap: who can write
// the current reset index into it has the gateway's disk.
func (b *Bootstrap) ResetFile() string { return filepath.Join(b.directory, resetFile) }

// Reset opens bootstrap again, whatever keys there are: for an administrator
// of the machine who has lost them. Those that exist stay good.
func (b *Bootstrap) Reset(ctx context.Context, who *Caller) error {
	if who.actor.Kind != "local" {
		return fail(CodeForbidden, "only from the machine itself: over its administration endpoint, or by the file %s", resetFile)
	}
	return retry(func() error {
		r, _ := b.record()
		return b.reset(ctx, who, r.Index)
	})
}

// resetByFile opens bootstrap again if the reset file says so. The file is
// removed as soon as it was found right, whatever comes after: a store that is
// restored later must not make it right again.
func (b *Bootstrap) resetByFile(ctx context.Context, who *Caller) error {
	r, _ := b.record()
	if b.config.Off || b.closed(&r) == "" {
		return nil
	}
	text, err := readSecretFile(b.ResetFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail(CodeConflict, "the bootstrap reset file cannot be read: %v", plain(err))
	}
	index, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return fail(CodeConflict, "the bootstrap reset file does not hold a number (reset index: %d)", r.Index)
	case index != r.Index:
		return fail(CodeConflict, "the bootstrap reset file says %d, the reset index is %d", index, r.Index)
	}
	if err := removeFile(b.ResetFile()); err != nil {
		return fail(CodeConflict, "the bootstrap reset file is right but cannot be removed, so nothing was reset: %v", plain(err))
	}
	return b.reset(ctx, who, index)
}

func (b *Bootstrap) reset(ctx context.Context, who *Caller, index int) error {
	if b.config.Off {
		return fail(CodeConflict, "bootstrap is switched off in the configuration")
	}
	r, condition := b.record()
	if r.Index != index {
		return fail(CodeConflict, "bootstrap was reset meanwhile (reset index: %d)", r.Index)
	}
	after := state.Bootstrap{Index: r.Index + 1, Reopened: true, File: r.File}
	var tx state.Tx
	state.Put(&tx, b.manager.state.Bootstraps, state.BootstrapID, &after, condition)
	tx.Note(who.Actor(), "bootstrap.reset", state.Object{Kind: "bootstrap", ID: state.BootstrapID},
		map[string]int{"index": r.Index}, map[string]int{"index": after.Index})
	if err := b.commit(ctx, &tx); err != nil {
		return err
	}
	b.manager.log.Warn("bootstrap was reset: it is open again", "realm", b.manager.state.Realm(), "by", who.Actor().String(), "index", after.Index)
	return retry(func() error { return b.makeSecret(ctx) })
}

// plain drops the path of a file error: callers need not know it.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err
}
