package clients

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/engine"
)

// needEngines returns the engines that all tests share, started if need be.
func needEngines(t *testing.T) *engine.Engines {
	t.Helper()
	engine.Need(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.engines == nil {
		e, err := engine.Start()
		if err != nil {
			t.Fatal(err)
		}
		shared.engines = e
	}
	return shared.engines
}
