// Package demoregistry is a CNCF Distribution registry in one process, for the
// demo and for tests. It asks nobody who they are: it must only be reachable
// through something that does.
package demoregistry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // by name
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"   // by name
	"github.com/sirupsen/logrus"
)

// Registry serves the distribution API below /v2. It is an [http.Handler].
type Registry struct {
	app *handlers.App
}

// New returns a registry that keeps its data below dir, which is created when
// something is pushed, or in memory if dir is empty. Deleting is permitted.
//
// Distribution logs to the process-wide logrus logger, which is silenced here:
// the front in the same process says what happened.
func New(ctx context.Context, dir string) (r *Registry, err error) {
	logrus.SetOutput(io.Discard)
	c := &configuration.Configuration{Version: configuration.MajorMinorVersion(0, 1)}
	c.Log.Level = "error"
	c.Log.AccessLog.Disabled = true
	c.HTTP.RelativeURLs = true // the front decides what the world calls us
	c.Catalog.MaxEntries = 1000
	c.Storage = configuration.Storage{
		"inmemory":    nil,
		"delete":      {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}
	if dir != "" {
		delete(c.Storage, "inmemory")
		c.Storage["filesystem"] = configuration.Parameters{"rootdirectory": dir}
	}
	defer func() { // NewApp panics where others return an error
		if p := recover(); p != nil {
			err = fmt.Errorf("starting the embedded registry: %v", p)
		}
	}()
	return &Registry{app: handlers.NewApp(ctx, c)}, nil
}

// ServeHTTP answers one request of the distribution API.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.app.ServeHTTP(w, req) }

// Close ends what the registry does in the background. Its data stays.
func (r *Registry) Close() error { return r.app.Shutdown() }
