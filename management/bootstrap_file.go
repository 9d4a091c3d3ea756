package management

import (
	"context"
	"fmt"
	"os"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

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
