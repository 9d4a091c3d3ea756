package registryauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Workload is the authenticator for CI jobs and service accounts of one
// issuer: the OIDC token of the job is its credential, and no secret is kept
// anywhere. In a Caddyfile, `workload` blocks declare it; those that name the
// same issuer are mappings of one authenticator.
type Workload struct {
	authn.WorkloadConfig

	// Certificate authorities for the connection to the issuer.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	verifier workloadVerifier
	robots   robotAdmitter // of the realm, declared and stored
	keys     []string      // of what is held in the pool
}

// robotAdmitter knows the state of robots by name.
type robotAdmitter interface {
	AdmitRobot(name string, remote netip.Addr) error
}

// workloadVerifier and spentTokens are entries of the pool.
type (
	workloadVerifier struct{ *authn.Workload }
	spentTokens      struct{ *authn.SpentTokens }
)

// Destruct has nothing to close: requests in flight may still verify.
func (workloadVerifier) Destruct() error { return nil }

// Destruct has nothing to close.
func (spentTokens) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (Workload) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.WorkloadName, New: func() caddy.Module { return new(Workload) }}
}

// Provision prepares the verifier; it does not touch the network.
func (w *Workload) Provision(ctx caddy.Context) error {
	settings, err := json.Marshal(w)
	if err != nil {
		return err
	}
	var roots any
	if w.CARaw != nil {
		if roots, err = ctx.LoadModule(w, "CARaw"); err != nil {
			return fmt.Errorf("loading trust_pool: %w", err)
		}
	}
	transport, err := issuerTransport(roots)
	if err != nil {
		return err
	}
	// Apart from the verifier, so that a change of the settings does not let
	// tokens be used again.
	value, err := w.hold("workload-spent:"+w.Issuer, func() (caddy.Destructor, error) {
		return spentTokens{authn.NewSpentTokens()}, nil
	})
	if err != nil {
		return err
	}
	spent, _ := value.(spentTokens)
	value, err = w.hold("workload:"+string(settings), func() (caddy.Destructor, error) {
		verifier, err := authn.NewWorkload(w.WorkloadConfig, spent.SpentTokens,
			authn.Options{Transport: transport, When: caddyfile.CompileClaims, Logger: caddy.Log().Named("registry_auth.workload")})
		if err != nil {
			return nil, err
		}
		return workloadVerifier{verifier}, nil
	})
	if err != nil {
		return err
	}
	w.verifier, _ = value.(workloadVerifier)
	return nil
}

// hold takes something out of the pool, or makes it.
func (w *Workload) hold(key string, construct caddy.Constructor) (any, error) {
	value, _, err := process.Pool.LoadOrNew(key, construct)
	if err == nil {
		w.keys = append(w.keys, key)
	}
	return value, err
}

// AuthenticatorName tells the issuers of a realm apart.
func (w *Workload) AuthenticatorName() string { return w.verifier.Name() }

// TokenIssuer is whose tokens are verified.
func (w *Workload) TokenIssuer() string { return w.Issuer }

// WorkloadNames are the names of the workloads.
func (w *Workload) WorkloadNames() []string {
	names := make([]string, len(w.Mappings))
	for i, m := range w.Mappings {
		names[i] = m.Name
	}
	return names
}

// RobotNames are the robots as which workloads act.
func (w *Workload) RobotNames() []string {
	var names []string
	for _, m := range w.Mappings {
		if name, ok := strings.CutPrefix(m.As, "robot:"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Start fetches the issuer's keys in the background.
func (w *Workload) Start(ctx context.Context) { w.verifier.Start(ctx) }

// Cleanup gives back what is held in the pool.
func (w *Workload) Cleanup() error {
	var errs []error
	for _, key := range w.keys {
		_, err := process.Pool.Delete(key)
		errs = append(errs, err)
	}
	w.keys = nil
	return errors.Join(errs...)
}

// UseRobots gives the authenticator the robots of its realm, before the first
// request.
func (w *Workload) UseRobots(robots *authn.Robots) { w.robots = robots }

// Authenticate verifies a job's token.
func (w *Workload) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	p, err := w.verifier.Authenticate(ctx, c)
	if err == nil {
		err = w.admit(p, c)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Recheck reports whether a workload that holds a registry token is still
// configured as it was.
func (w *Workload) Recheck(p *authn.Principal, c *authn.Credential) error {
	if err := w.verifier.Recheck(p, c); err != nil {
		return err
	}
	return w.admit(p, c)
}

// admit asks whether the robot may that a workload acts as.
func (w *Workload) admit(p *authn.Principal, c *authn.Credential) error {
	if p.Kind != authn.KindRobot || w.robots == nil {
		return nil
	}
	return w.robots.AdmitRobot(p.Name, c.Remote)
}
