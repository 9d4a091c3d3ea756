package methods

import (
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
	Held
}

// CaddyModule returns the Caddy module information.
func (Htpasswd) CaddyModule() caddy.ModuleInfo {
	return info("htpasswd", func() caddy.Module { return new(Htpasswd) })
}

// UnmarshalCaddyfile reads an htpasswd file's place:
//
//	htpasswd <file> {
//		groups <file>
//		prefix <prefix>
//		insecure_legacy_hashes
//	}
func (h *Htpasswd) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&h.File) {
		return d.ArgErr()
	}
	if err := caddyfile.AbsoluteFile(d, "htpasswd", h.File); err != nil {
		return err
	}
	return h.options().Read(d, "htpasswd")
}

func (h *Htpasswd) options() caddyfile.Options {
	return caddyfile.Options{
		"groups":                 caddyfile.Text(&h.GroupsFile, caddyfile.AbsoluteFile),
		"prefix":                 caddyfile.Text(&h.Prefix),
		"insecure_legacy_hashes": caddyfile.Flag(&h.InsecureLegacyHashes),
	}
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
	return h.hold("htpasswd", config, func() (described, error) {
		users, err := authn.NewHtpasswd(config, authn.HtpasswdOptions{Pool: process.Hashing, Cache: process.Verified, Reloaded: reloadedUsers(config.File)})
		return passwordFile{users, config.File}, err
	})
}

// passwordFile is an htpasswd file in the pool: a reload of the configuration
// keeps the users in force although the file is broken at that time.
type passwordFile struct {
	*authn.Htpasswd

	path string
}

// Close takes the file out of the metrics.
func (f passwordFile) Close() { usersFileBroken.DeleteLabelValues(f.path) }

var usersFileBroken = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Namespace: "caddy", Subsystem: "registry_auth", Name: "users_file_broken",
	Help: "1 while an htpasswd or groups file cannot be used and the users of before are in force.",
}, []string{"file"})

// reloadedUsers makes visible what has become of a file that has changed.
func reloadedUsers(file string) func(int, error) {
	log := logger("htpasswd").With(zap.String("file", file))
	broken := usersFileBroken.WithLabelValues(file)
	broken.Set(0)
	return func(users int, err error) {
		if err != nil {
			broken.Set(1)
			log.Error("the users' file cannot be used: those of before stay in force", zap.Error(err))
			return
		}
		broken.Set(0)
		log.Info("the users' file has changed", zap.Int("users", users))
	}
}
