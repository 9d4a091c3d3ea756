package management

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Start does what needs no call: it applies the bootstrap file to an empty
// store, makes the administrator's key file, or generates the bootstrap secret
// and logs where it is. All gateways start; what is to be done once is done by
// one of them.
func (b *Bootstrap) Start(ctx context.Context) error {
	if b.config.Off {
		return nil
	}
	who := Local("system", "")
	if err := retry(func() error { return b.resetByFile(ctx, who) }); err != nil {
		// Nothing was opened: the gateway starts, and says what is wrong.
		b.manager.log.Error("bootstrap reset", "realm", b.manager.state.Realm(), "error", err)
	}
	for _, step := range []func(context.Context) error{b.applyFile, b.makeKeyFile, b.makeSecret} {
		if err := retry(func() error { return step(ctx) }); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	return nil
}

// makeKeyFile makes the administrator's key of the configuration. The file
// comes first: a key that nobody knows would close the door for good. A file
// that is there, be it from a start that did not come to its end, is the key.
func (b *Bootstrap) makeKeyFile(ctx context.Context) error {
	m, path := b.manager, b.config.AdminKeyFile
	r, condition := b.record()
	if path == "" || r.Reopened || b.closed(&r) != "" {
		return nil
	}
	key, err := readSecretFile(path)
	written := errors.Is(err, fs.ErrNotExist)
	if written {
		key, _ = authn.NewSecret(authn.SecretAPIKey)
		err = writeSecretFile(path, key)
	}
	if errors.Is(err, fs.ErrExist) {
		return errAgain // written by another gateway on this machine
	}
	if err != nil {
		return fmt.Errorf("admin_key_file: %w", err)
	}
	id, hash, err := suppliedKey(key)
	if err != nil {
		return fmt.Errorf("admin_key_file %s: %w", path, err)
	}
	now := m.second()
	record := &state.APIKey{Name: "admin_key_file", Hash: hash, Scopes: []string{string(ScopeAll)}, Created: now, CreatedBy: state.System.String()}
	after := state.Bootstrap{Index: r.Index, Done: now, By: "admin_key_file", Key: id, File: r.File}
	var tx state.Tx
	state.Put(&tx, m.state.Bootstraps, state.BootstrapID, &after, condition)
	state.Put(&tx, m.state.APIKeys, id, record, state.Absent)
	tx.Note(state.System, "bootstrap.admin_key_file", keyObject(id, record), nil, map[string]any{"file": b.host + ":" + path, "scopes": record.Scopes})
	err = b.commit(ctx, &tx)
	if now, _ := b.record(); errors.Is(err, errAgain) && written && now.Key != id {
		// Another gateway has made the key; this one is good for nothing.
		return errors.Join(err, removeFile(path))
	}
	if err == nil {
		m.log.Info("made the administrator's key", "realm", m.state.Realm(), "file", path, "key", id)
	}
	return err
}

// makeSecret reads the bootstrap secret from its file, or generates it, if
// bootstrap is open and none is configured.
func (b *Bootstrap) makeSecret(ctx context.Context) error {
	m, path := b.manager, b.config.SecretFile
	r, condition := b.record()
	if b.config.Secret != "" {
		if b.closed(&r) == "" {
			m.log.Info("bootstrap is open: the call needs the configured secret", "realm", m.state.Realm())
		}
		return nil
	}
	there, err := b.readSecret(&r)
	switch {
	case err != nil:
		return fmt.Errorf("secret_file: %w", err)
	case b.closed(&r) != "":
		return nil
	case there:
		m.log.Info("bootstrap is open: the secret is in the file", "realm", m.state.Realm(), "file", path)
		return nil
	case r.SecretHash != "" && r.SecretAt != b.at():
		m.log.Info("bootstrap is open: another gateway has generated the secret", "realm", m.state.Realm(), "where", r.SecretAt)
		return nil
	}
	// Also where we have generated one and the file is gone.
	secret, hash := authn.NewSecret(authn.SecretBootstrap)
	if err := writeSecretFile(path, secret); errors.Is(err, fs.ErrExist) {
		return errAgain
	} else if err != nil {
		return fmt.Errorf("secret_file: %w", err)
	}
	after := r
	after.SecretHash, after.SecretAt = hash, b.at()
	var tx state.Tx
	state.Put(&tx, m.state.Bootstraps, state.BootstrapID, &after, condition)
	tx.Note(state.System, "bootstrap.secret", state.Object{Kind: "bootstrap", ID: state.BootstrapID}, nil, map[string]any{"file": after.SecretAt})
	if err := b.commit(ctx, &tx); err != nil {
		return errors.Join(err, removeFile(path))
	}
	m.log.Info("bootstrap is open: the secret was generated and is in the file", "realm", m.state.Realm(), "file", path)
	return nil
}

// readSecret reads the secret's file and reports whether it holds one that is
// good. One that was generated and is used up is removed.
func (b *Bootstrap) readSecret(r *state.Bootstrap) (bool, error) {
	secret, err := readSecretFile(b.config.SecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if parsed, err := authn.ParseSecret(secret); err == nil && parsed.Kind == authn.SecretBootstrap {
		hash, err := authn.ParseHash(r.SecretHash)
		if err == nil && hash.Matches(secret) && b.closed(r) == "" {
			return true, nil
		}
		return false, removeFile(b.config.SecretFile)
	}
	if len(secret) < minStaticKey {
		return false, fmt.Errorf("%s: it has %d characters, want at least %d", b.config.SecretFile, len(secret), minStaticKey)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.secrets = [][sha256.Size]byte{sha256.Sum256([]byte(secret))}
	return true, nil
}

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

// applyFile applies the bootstrap file to an empty store, once: later changes
// of the file do nothing, and a store that was in use before is left alone.
func (b *Bootstrap) applyFile(ctx context.Context) error {
	m, path := b.manager, b.config.File
	r, condition := b.record()
	if path == "" || !r.File.IsZero() {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	d, err := ParseDocument(text)
	if err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	who := Local("system", "bootstrap_file")
	after := r
	after.File = m.second()
	var tx state.Tx
	changes := []ImportChange{}
	if !b.inUse() {
		plan, err := m.plan(&tx, who, d, false)
		if err != nil {
			return fmt.Errorf("file %s: %w", path, err)
		}
		changes = plan.changes
	}
	state.Put(&tx, m.state.Bootstraps, state.BootstrapID, &after, condition)
	tx.Note(state.System, "bootstrap.file", state.Object{Kind: "bootstrap", ID: state.BootstrapID}, nil,
		map[string]any{"file": b.host + ":" + path, "changes": len(changes)})
	if err := b.commit(ctx, &tx); err != nil {
		return err
	}
	m.log.Info("bootstrap file", "realm", m.state.Realm(), "file", path, "changes", len(changes), "store_was_in_use", len(changes) == 0)
	for _, c := range changes {
		if c.Note != "" {
			m.log.Warn("bootstrap file", "kind", c.Kind, "id", c.ID, "note", c.Note)
		}
	}
	return nil
}

// inUse reports whether anything is managed in the store.
func (b *Bootstrap) inUse() bool {
	d := b.manager.current()
	return len(d.Projects)+len(d.RoleMappings)+len(d.Robots)+len(d.APIKeys)+len(d.Owners) > 0
}
