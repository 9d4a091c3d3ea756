package realm

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// apps are those that run: the administration endpoint's modules are not part
// of a configuration. While one is replaced there are two, and the later one
// counts; if it cannot start after all, the earlier one does again.
var apps runningApps

type runningApps struct {
	mu   sync.Mutex
	list []*App
}

func (l *runningApps) add(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, a)
}

func (l *runningApps) remove(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(other *App) bool { return other == a })
}

// current returns the app that is in force, nil if there is none.
func (l *runningApps) current() *App {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return nil
	}
	return l.list[len(l.list)-1]
}

// AdminAPI has the management API of every realm on Caddy's administration
// endpoint, below /registry-auth/<realm>/: who can reach that may do
// everything, as with the configuration itself. It is what the commands of
// `caddy registry-auth` use on the gateway's own machine.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.registry_auth", New: func() caddy.Module { return new(AdminAPI) }}
}

// Routes implements [caddy.AdminRouter].
func (*AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: client.LocalPrefix, Handler: caddy.AdminHandlerFunc(serveAdmin)},
		{Pattern: client.StorePrefix, Handler: caddy.AdminHandlerFunc(serveStore)},
	}
}

// serveStore answers with a report on the store, or with a copy of it.
func serveStore(w http.ResponseWriter, r *http.Request) error {
	app := apps.current()
	switch {
	case app == nil:
		return adminError(http.StatusNotFound, "this configuration has no registry_auth")
	case r.Method != http.MethodGet:
		return adminError(http.StatusMethodNotAllowed, "want GET")
	}
	opened, err := app.openStore()
	if err != nil {
		return adminError(http.StatusConflict, "the gateway has no store open: "+err.Error())
	}
	keeper, ok := opened.(store.Keeper)
	if !ok {
		return adminError(http.StatusConflict, "the store is no file: use the database's own tools, such as pg_dump")
	}
	switch strings.TrimPrefix(r.URL.Path, client.StorePrefix) {
	case "verify":
		report, err := keeper.Verify(r.Context())
		if err != nil {
			return adminError(http.StatusConflict, err.Error())
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(report)
	case "backup":
		return sendCopy(w, r, keeper)
	}
	return adminError(http.StatusNotFound, "want verify or backup")
}

// sendCopy sends a copy of the store, which is made in a folder of its own that
// nobody else can read.
func sendCopy(w http.ResponseWriter, r *http.Request, keeper store.Keeper) error {
	folder, err := os.MkdirTemp("", "registry_auth-backup-") // mode 0700
	if err != nil {
		return adminError(http.StatusInsufficientStorage, err.Error())
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "state.db")
	if err := keeper.Backup(r.Context(), path); err != nil {
		return adminError(http.StatusConflict, err.Error())
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	_, err = io.Copy(w, file)
	return err
}

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	app := apps.current()
	if app == nil {
		return adminError(http.StatusNotFound, "this configuration has no registry_auth")
	}
	// The name may have anything in it, escaped.
	escaped, _, below := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), client.LocalPrefix), "/")
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return adminError(http.StatusBadRequest, "this is no name of a realm")
	}
	if name == "" && !below {
		return app.listRealms(w, r)
	}
	realm, err := app.Realm(name)
	if err != nil || name == "" {
		return adminError(http.StatusNotFound, "there is no such realm")
	}
	run := realm.Enter(w, r)
	if run == nil {
		return nil
	}
	defer run.Leave()
	api, err := run.local()
	if err != nil {
		return err
	}
	api.ServeHTTP(w, r)
	return nil
}

// listRealms says which realms there are.
func (a *App) listRealms(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return adminError(http.StatusMethodNotAllowed, "want GET")
	}
	names := []string{}
	for _, realm := range a.realms.all() {
		names = append(names, realm.name)
	}
	slices.Sort(names)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string][]string{"realms": names})
}

// localAPI is the management API for who is on the machine.
func (r *Realm) localAPI(run *Running) (*management.API, error) {
	return management.NewAPI(run.manager, management.APIOptions{
		Local: management.Local("local", "admin"), Prefix: client.LocalPrefix + url.PathEscape(r.name),
		Bootstrap: run.bootstrap,
		Remote: func(req *http.Request) netip.Addr { // none over a socket
			ap, _ := netip.ParseAddrPort(req.RemoteAddr)
			return ap.Addr().Unmap()
		},
	})
}

// adminError is an error as Caddy's administration endpoint answers it.
func adminError(status int, text string) error {
	return caddy.APIError{HTTPStatus: status, Message: text}
}

var _ caddy.AdminRouter = (*AdminAPI)(nil)
