package cluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The commands of docs/state.md, but for where the dump is.
const (
	dump    = `pg_dump --format custom --file state.dump "$REGISTRY_AUTH_DSN"`
	restore = `pg_restore --clean --if-exists --single-transaction --dbname "$REGISTRY_AUTH_DSN" state.dump`
)

// TestBackupPostgres restores a dump that was made while the gateway ran.
func TestBackupPostgres(t *testing.T) {
	db := database(t)
	n := configure(t, onPostgres, registry(t).URL, withKey, "DSN="+db.DSN())
	n.start(t)
	kept := n.robot(t, "kept")
	token := n.token(t, kept)
	if err := db.Shell(dump); err != nil {
		t.Fatal(err)
	}
	later := n.robot(t, "later")
	n.api(t, "DELETE", "/robots/kept", "", 204)
	n.Kill()
	if err := db.Shell(restore); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	n.want(t, "what was in the dump", kept, 200)
	n.want(t, "its token of then", token, 200)
	n.want(t, "what was made after the dump", later, 401)
	n.want(t, "a new one", n.robot(t, "new"), 200)
}

// TestRestoreWhileRunning puts a dump back below two gateways that go on.
func TestRestoreWhileRunning(t *testing.T) {
	db := database(t)
	image := registry(t).URL
	a, b := configure(t, onPostgres, image, withKey, "DSN="+db.DSN()), configure(t, onPostgres, image, withKey, "DSN="+db.DSN())
	a.start(t)
	b.start(t)
	kept := a.robot(t, "kept")
	if err := db.Shell(dump); err != nil {
		t.Fatal(err)
	}
	later, again := a.robot(t, "later"), a.robot(t, "again")
	a.api(t, "DELETE", "/robots/kept", "", 204)
	a.api(t, "DELETE", "/robots/again", "", 204)
	for _, n := range []*node{a, b} {
		within(t, time.Second, "the deletion", func() bool { return n.status(t, kept) == 401 && n.status(t, later) == 200 })
	}
	if err := db.Shell(restore); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{a, b} {
		within(t, 3*time.Second, "what was put back", func() bool { return n.status(t, kept) == 200 && n.status(t, later) == 401 })
		n.want(t, "what was deleted after the dump", again, 401)
	}
	again = a.robot(t, "again")
	within(t, time.Second, "a new one of a name that was deleted", func() bool { return a.status(t, again) == 200 && b.status(t, again) == 200 })
}

// TestBackupFile copies the file of a gateway that was stopped, and puts it
// back.
func TestBackupFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	n := configure(t, "bolt "+file, registry(t).URL, withKey)
	n.start(t)
	kept := n.robot(t, "kept")
	token := n.token(t, kept)
	n.Kill()
	copied, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	later := n.robot(t, "later")
	n.api(t, "DELETE", "/robots/kept", "", 204)
	n.Kill()
	if err := os.WriteFile(file, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	n.want(t, "what was in the copy", kept, 200)
	n.want(t, "its token of then", token, 200)
	n.want(t, "what was made after the copy", later, 401)
}
