package registryauth

import (
	"context"
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Htpasswd is the authenticator for people whose password hashes are in an
// htpasswd file. The file is read when the configuration is loaded, and again
// when it changes.
type Htpasswd struct {
	authn.HtpasswdConfig

	users   passwordFile
	poolKey string
}

// passwordFile is an entry of the pool: a reload of the configuration keeps
// the users in force although the file is broken meanwhile.
type passwordFile struct {
	*authn.Htpasswd

	path string
}

// Destruct takes the file out of the metrics. Requests in flight may go on.
func (f passwordFile) Destruct() error {
	usersFileBroken.DeleteLabelValues(f.path)
	return nil
}

// CaddyModule returns the Caddy module information.
func (Htpasswd) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + ".htpasswd", New: func() caddy.Module { return new(Htpasswd) }}
}

// UnmarshalCaddyfile reads an `htpasswd` block.
func (h *Htpasswd) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	h.HtpasswdConfig, err = caddyfile.Htpasswd(d)
	return err
}

// Provision reads the file.
func (h *Htpasswd) Provision(ctx caddy.Context) (err error) {
	config := h.HtpasswdConfig
	if config.File, err = caddyfile.Resolve("htpasswd: file", config.File); err != nil {
		return err
	}
	if config.GroupsFile != "" {
		if config.GroupsFile, err = caddyfile.Resolve("htpasswd: groups", config.GroupsFile); err != nil {
			return err
		}
	}
	if err := process.Show(ctx, usersFileBroken); err != nil {
		return err
	}
	settings, err := json.Marshal(config)
	if err != nil {
		return err
	}
	key := "htpasswd:" + string(settings)
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		users, err := authn.NewHtpasswd(config, authn.HtpasswdOptions{Pool: process.Hashing, Cache: process.Verified, Reloaded: reloadedUsers(config.File)})
		if err != nil {
			return nil, err
		}
		return passwordFile{users, config.File}, nil
	})
	if err != nil {
		return err
	}
	h.users, _ = value.(passwordFile)
	h.poolKey = key
	return nil
}

// reloadedUsers makes visible what has become of a file that has changed.
func reloadedUsers(file string) func(int, error) {
	logger := caddy.Log().Named("registry_auth.htpasswd").With(zap.String("file", file))
	broken := usersFileBroken.WithLabelValues(file)
	broken.Set(0)
	return func(users int, err error) {
		if err != nil {
			broken.Set(1)
			logger.Error("the users' file cannot be used: those of before stay in force", zap.Error(err))
			return
		}
		broken.Set(0)
		logger.Info("the users' file has changed", zap.Int("users", users))
	}
}

// AuthenticatorName tells the files of a realm apart.
func (h *Htpasswd) AuthenticatorName() string { return h.users.Name() }

// NamePrefix is what names of these users start with.
func (h *Htpasswd) NamePrefix() string { return h.Prefix }

// PeoplesPasswords says that people chose these.
func (h *Htpasswd) PeoplesPasswords() bool { return true }

// Start looks for changes of the file in the background.
func (h *Htpasswd) Start(ctx context.Context) { h.users.Start(ctx) }

// Cleanup gives the users back to the pool.
func (h *Htpasswd) Cleanup() error {
	if h.poolKey == "" {
		return nil
	}
	_, err := process.Pool.Delete(h.poolKey)
	h.poolKey = ""
	return err
}

// Authenticate checks a user's password.
func (h *Htpasswd) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return h.users.Authenticate(ctx, c)
}

// Recheck reports whether a user who holds a registry token is still good.
func (h *Htpasswd) Recheck(p *authn.Principal, c *authn.Credential) error {
	return h.users.Recheck(p, c)
}

// GroupsNow returns the groups that a user is in.
func (h *Htpasswd) GroupsNow(p *authn.Principal) []string { return h.users.GroupsNow(p) }

// Equalize spends the time of a wrong password on an unknown user.
func (h *Htpasswd) Equalize(ctx context.Context, c *authn.Credential) error {
	return h.users.Equalize(ctx, c)
}

// EqualizeCost is how long that takes.
func (h *Htpasswd) EqualizeCost() float64 { return h.users.EqualizeCost() }

// usersFileBroken tells of files that cannot be used.
var usersFileBroken = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Namespace: "caddy", Subsystem: "registry_auth", Name: "users_file_broken",
	Help: "1 while an htpasswd or groups file cannot be used and the users of before are in force.",
}, []string{"file"})
