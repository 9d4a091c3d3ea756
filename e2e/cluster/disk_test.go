package cluster

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// disk mounts a small file system for a test.
func disk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		if process.Required() {
			t.Fatalf("mounting: %v", err)
		}
		t.Skipf("mounting: %v", err)
	}
	// Detached: the gateway may still have the file when this runs.
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull: a full disk refuses changes and nothing else, loses nothing,
// and is over as soon as there is room.
func TestDiskFull(t *testing.T) {
	dir := disk(t)
	n := configure(t, "bolt "+filepath.Join(dir, "state.db"), registry(t).URL, withKey)
	n.start(t)
	login := n.robot(t, "ci")
	token := n.token(t, login)
	put := func(name string) reply {
		body := fmt.Sprintf(`{"permissions":[],"description":%q}`, strings.Repeat("x", 900))
		return n.send(t.Context(), "PUT", "/auth/api/v1/robots/"+name, "Bearer "+adminKey, body)
	}
	made, mark := 0, n.Log.Mark()
	r := put("r0")
	for ; r.StatusCode == http.StatusCreated && made < 5000; r = put(fmt.Sprint("r", made)) {
		made++
	}
	if r.StatusCode != http.StatusInsufficientStorage || !strings.Contains(r.body, "#insufficient-storage") {
		t.Errorf("full after %d robots: %d %s", made, r.StatusCode, r.body)
	}
	health := func() string { return n.send(t.Context(), "GET", "/auth/api/v1/health", "", "").body }
	if h := health(); !strings.Contains(h, `"degraded"`) || !strings.Contains(h, `"full"`) {
		t.Errorf("health: %s", h)
	}
	if e, err := n.Log.Wait(mark, logged("a change was not made")); err != nil || !strings.Contains(fmt.Sprint(e["error"]), dir) {
		t.Errorf("the log: %v %v", e, err)
	}
	goesOn(t, n, login, token)
	for i := range made {
		n.api(t, "GET", fmt.Sprint("/robots/r", i), "", 200)
	}
	if failed := n.metric(t, `caddy_registry_auth_management_requests_total{outcome="insufficient-storage"`); failed < 1 {
		t.Errorf("%v refused changes in the metrics", failed)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	if r := put("later"); r.StatusCode != http.StatusCreated {
		t.Errorf("with room again: %d %s", r.StatusCode, r.body)
	}
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	for i := range made {
		n.api(t, "GET", fmt.Sprint("/robots/r", i), "", 200)
	}
	goesOn(t, n, login, token)
}

// TestDiskReadOnly: a disk that became read-only refuses changes and nothing
// else, also when the gateway starts on it.
func TestDiskReadOnly(t *testing.T) {
	dir := disk(t)
	n := configure(t, "bolt "+filepath.Join(dir, "state.db"), registry(t).URL, withKey)
	n.start(t)
	login := n.robot(t, "ci")
	token := n.token(t, login)
	n.Kill() // what is open for writing cannot become read-only
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=2m"); err != nil {
		t.Fatal(err)
	}
	mark := n.Log.Mark()
	if err := n.Restart(t.Context(), n.config); err != nil {
		t.Fatal(err)
	}
	goesOn(t, n, login, token)
	r := n.send(t.Context(), "PUT", "/auth/api/v1/robots/another", "Bearer "+adminKey, `{"permissions":[]}`)
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(r.body, "#unavailable") {
		t.Errorf("a change: %d %s", r.StatusCode, r.body)
	}
	e, err := n.Log.Wait(mark, logged("a change was not made"))
	if err != nil || !strings.Contains(fmt.Sprint(e["error"]), "the store is read-only") {
		t.Errorf("the log: %v %v", e, err)
	}
}

// goesOn wants everything that needs no change to work.
func goesOn(t *testing.T, n *node, login, token string) {
	t.Helper()
	n.want(t, "login", login, 200)
	n.want(t, "token", token, 200)
	n.want(t, "a new token", n.token(t, login), 200)
}
