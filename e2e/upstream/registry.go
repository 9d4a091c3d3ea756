// Package upstream provides what stands behind the gateway in the tests: real
// registries as processes, a recorder between the two that sees every request
// the gateway lets through, and images to fill them with.
package upstream

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// Kind names a registry and the program that serves it.
type Kind struct {
	// Name is how tests call it.
	Name string
	// Program is looked up in PATH.
	Program string
}

// The registries the tests know.
var (
	// Distribution2 is Debian's docker-registry.
	Distribution2 = Kind{Name: "distribution-2.8.2", Program: "docker-registry"}
	// Distribution3 is the current CNCF Distribution.
	Distribution3 = Kind{Name: "distribution-3", Program: "registry"}
)

// Kinds lists the registries, oldest first.
var Kinds = []Kind{Distribution2, Distribution3}

// TokenAuth makes a registry verify registry tokens itself. One of
// RootCertBundle and JWKS is a file.
type TokenAuth struct {
	Realm, Service, Issuer string
	RootCertBundle         string
	JWKS                   string
}

// Options change how a registry is started.
type Options struct {
	// Token switches the registry's own token check on.
	Token *TokenAuth
	// Config are further sections of its configuration file, Env variables
	// ("NAME=value") that override it.
	Config string
	Env    []string
	// AbsoluteURLs makes it send absolute Location headers, its default;
	// the tests otherwise ask for relative ones.
	AbsoluteURLs bool
}

// Registry is a registry under way.
type Registry struct {
	Kind Kind
	// URL is its base address, without a trailing slash.
	URL string

	process *process.Process
}

// Start starts a registry that keeps its data below dir.
func Start(ctx context.Context, kind Kind, dir string, o Options) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", kind.Name, err)
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, []byte(configuration(dir, port, o)), 0o600); err != nil {
		return nil, fmt.Errorf("start %s: %w", kind.Name, err)
	}
	program, err := exec.LookPath(kind.Program)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", kind.Name, err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Env = append(cmd.Env, o.Env...)
	p, err := process.Start(kind.Name, cmd, filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	r := &Registry{Kind: kind, URL: fmt.Sprintf("http://127.0.0.1:%d", port), process: p}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := p.Ready(ctx, process.Answers(r.URL+"/v2/")); err != nil {
		_ = r.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends the registry.
func (r *Registry) Stop() error { return r.process.Stop() }

func configuration(dir string, port int, o Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: 127.0.0.1:%d, secret: shared-by-nobody, relativeurls: %t}
`, filepath.Join(dir, "data"), port, !o.AbsoluteURLs)
	b.WriteString(o.Config)
	if t := o.Token; t != nil {
		keys := fmt.Sprintf("rootcertbundle: %q", t.RootCertBundle)
		if t.JWKS != "" {
			keys = fmt.Sprintf("jwks: %q", t.JWKS)
		}
		fmt.Fprintf(&b, "auth: {token: {realm: %q, service: %q, issuer: %q, %s}}\n", t.Realm, t.Service, t.Issuer, keys)
	}
	return b.String()
}
