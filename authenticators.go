package registryauth

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Robots is the authenticator for the robots that are declared in the
// configuration. In a Caddyfile, `robot` blocks declare them.
type Robots struct {
	// The robots.
	Robots []authn.RobotConfig `json:"robots,omitempty"`

	resolved []authn.RobotConfig
	robots   *authn.Robots
}

// CaddyModule returns the Caddy module information.
func (Robots) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.RobotsName, New: func() caddy.Module { return new(Robots) }}
}

// Provision resolves the placeholders of the secrets' stored forms.
func (r *Robots) Provision(caddy.Context) error {
	list := slices.Clone(r.Robots)
	for i, robot := range list {
		hashes := slices.Clone(robot.SecretHashes)
		for j, hash := range hashes {
			resolved, err := caddyfile.Resolve("secret_hash", hash)
			if err != nil {
				return fmt.Errorf("robot %s: %w", robot.Name, err)
			}
			hashes[j] = resolved
		}
		list[i].SecretHashes = hashes
	}
	r.resolved = list
	var err error
	r.robots, err = authn.NewRobots(list, process.Hashing, process.Verified, nil)
	return err
}

// Authenticate checks a robot's secret.
func (r *Robots) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return r.robots.Authenticate(ctx, c)
}

// Recheck reports whether a robot that holds a registry token is still good.
func (r *Robots) Recheck(p *authn.Principal, c *authn.Credential) error {
	return r.robots.Recheck(p, c)
}

// EqualizeCost is how long Equalize takes.
func (r *Robots) EqualizeCost() float64 { return r.robots.EqualizeCost() }

// Equalize spends the time of a slow hash on a user name that no robot has.
func (r *Robots) Equalize(ctx context.Context, c *authn.Credential) error {
	return r.robots.Equalize(ctx, c)
}

// DeclaredRobots are the robots, with their secrets' stored forms resolved once
// the module is provisioned.
func (r *Robots) DeclaredRobots() []authn.RobotConfig {
	if r.resolved == nil {
		return r.Robots
	}
	return r.resolved
}
