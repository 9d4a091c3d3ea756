package idp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// Certified is a certified OpenID provider (the npm package oidc-provider)
// that runs as a process of its own. Its people are alice, bob, carol and
// admin.
type Certified struct {
	// Issuer is its URL and the "iss" of its tokens.
	Issuer string

	process *process.Process
}

// StartCertified starts the provider; its log goes below dir. The first time
// it installs the provider's packages.
func StartCertified(ctx context.Context, dir string) (*Certified, error) {
	return StartCertifiedFor(ctx, dir, "")
}

// StartCertifiedFor starts the provider with a client "web", with the secret
// "web-secret": a gateway at the address app that signs people in itself.
func StartCertifiedFor(ctx context.Context, dir, app string) (*Certified, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	return StartCertifiedBehind(ctx, dir, app, fmt.Sprintf("http://127.0.0.1:%d", port), port)
}

// StartCertifiedBehind is StartCertifiedFor on a port that people reach by
// another address, the issuer: that of a reverse proxy.
func StartCertifiedBehind(ctx context.Context, dir, app, issuer string, port int) (*Certified, error) {
	home, err := sourceDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(home, "node_modules", "oidc-provider")); err != nil {
		cmd := exec.CommandContext(ctx, "npm", "ci", "--silent", "--no-audit", "--no-fund")
		cmd.Dir = home
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("install the identity provider: npm ci: %w\n%s", err, out)
		}
	}
	cmd := exec.Command("node", "provider.mjs")
	cmd.Dir = home
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "ISSUER="+issuer, "NODE_NO_WARNINGS=1", "APP="+app)
	p, err := process.Start("identity provider", cmd, filepath.Join(dir, "idp.log"))
	if err != nil {
		return nil, err
	}
	c := &Certified{Issuer: issuer, process: p}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.Ready(ctx, process.Answers(fmt.Sprintf("http://127.0.0.1:%d/.well-known/openid-configuration", port))); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return c, nil
}

// Stop ends the provider.
func (c *Certified) Stop() error { return c.process.Stop() }

// Rotate makes the provider sign with new keys. With drop it also withdraws
// the old ones from its key set.
func (c *Certified) Rotate(ctx context.Context, drop bool) error {
	target := c.Issuer + "/test/rotate"
	if drop {
		target += "?drop=1"
	}
	return post(ctx, target)
}

// ServiceSecret is the client secret of a service account: builder, which
// maintains team, scanner, ephemeral, and crowd, which is in 50,000 groups.
func ServiceSecret(client string) string { return client + "-secret: with ?&=% and +" }

// Disable takes a service account away.
func (c *Certified) Disable(ctx context.Context, client string) error {
	return post(ctx, c.Issuer+"/test/disable?client="+client)
}

// Dismiss takes a person away.
func (c *Certified) Dismiss(ctx context.Context, user string) error {
	return post(ctx, c.Issuer+"/test/disable?user="+user)
}

// Refreshes counts the refresh tokens that were shown: what became of them,
// and how many had been shown before.
type Refreshes struct{ Granted, Refused, Repeated int }

// Refreshes counts since the provider was started.
func (c *Certified) Refreshes(ctx context.Context) (r Refreshes, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Issuer+"/test/refreshes", nil)
	if err != nil {
		return r, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	return r, json.NewDecoder(res.Body).Decode(&r)
}

// Freeze makes the provider hang, Thaw lets it go on.
func (c *Certified) Freeze() error { return syscall.Kill(c.process.Pid(), syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (c *Certified) Thaw() error { return syscall.Kill(c.process.Pid(), syscall.SIGCONT) }

func post(ctx context.Context, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", target, res.Status)
	}
	return nil
}

// sourceDir is where this file, and with it provider.mjs, lies.
func sourceDir() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("cannot tell where the identity provider's program lies")
	}
	return filepath.Dir(file), nil
}
