package clients

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/engine"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// shared are the stages and engines that all tests of the package play with:
// they are started when first needed and stopped when all tests are done.
var shared struct {
	mu      sync.Mutex
	stages  map[string]*stage.Stage
	engines *engine.Engines
}

func TestMain(m *testing.M) {
	// Those that run in parallel wait for programs and clocks most of the time.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	for kind, s := range shared.stages {
		for _, fault := range s.Gateway.Log.Faults(0) {
			fmt.Fprintln(os.Stderr, kind, "gateway log:", fault)
			code = 1
		}
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, kind, err)
			code = 1
		}
	}
	if shared.engines != nil {
		shared.engines.Stop()
	}
	os.Exit(code)
}

// onEachRegistry runs a test against the gateway in front of each registry.
func onEachRegistry(t *testing.T, test func(*testing.T, *stage.Stage)) {
	for _, kind := range upstream.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			process.Need(t, kind.Program)
			test(t, sharedStage(t, kind))
		})
	}
}

func sharedStage(t *testing.T, kind upstream.Kind) *stage.Stage {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if s, ok := shared.stages[kind.Name]; ok {
		return s
	}
	// Not t.Context(): the stage outlives the test that starts it.
	s, err := stage.Start(context.Background(), stage.Options{Kind: kind, Record: true})
	if err != nil {
		t.Fatal(err)
	}
	if shared.stages == nil {
		shared.stages = map[string]*stage.Stage{}
	}
	shared.stages[kind.Name] = s
	return s
}
