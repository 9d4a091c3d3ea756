package management

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// BootstrapConfig is the `bootstrap` block of `management`: how a realm gets
// its first administrator.
type BootstrapConfig struct {
	// If true, there is no bootstrap: administrators are people, by the rules,
	// or keys that stand in the configuration.
	Off bool `json:"off,omitempty"`

	// What the call has to show, at least 32 characters, as a placeholder such
	// as `{env.BOOTSTRAP_SECRET}` or `{file./run/secrets/bootstrap}`. Default:
	// one is generated on the first start and written to `secret_file`.
	Secret string `json:"secret,omitempty"`

	// Where the generated secret is written, with mode 0600. If there is such
	// a file already, what it holds is the secret. Default:
	// `registry_auth/<realm>/bootstrap-secret` in Caddy's data directory.
	SecretFile string `json:"secret_file,omitempty"`

	// How long the key is good that the call returns, at most a day. It ends
	// earlier: when it has made a key that lasts. Default: an hour.
	TTL Duration `json:"ttl,omitempty"`

	// A file for an administrator's key that lasts, generated once and written
	// with mode 0600; or, if there is such a file already, the key. With it
	// there is no call to be made.
	AdminKeyFile string `json:"admin_key_file,omitempty"`

	// A YAML or JSON file with robots, projects, role mappings and keys, with
	// hashes in the place of secrets. It is applied to an empty store, once.
	File string `json:"file,omitempty"`
}

const (
	defaultBootstrapTTL = Duration(time.Hour)
	maxBootstrapTTL     = Duration(24 * time.Hour)
)

// Validate returns what is wrong with the configuration as it is written:
// placeholders are not looked into.
func (c *BootstrapConfig) Validate() error {
	switch {
	case c.Off && (c.Secret != "" || c.SecretFile != "" || c.AdminKeyFile != "" || c.File != "" || c.TTL != 0):
		return errors.New("bootstrap: it is off, and something else is said about it")
	case c.Secret != "" && c.SecretFile != "":
		return errors.New("bootstrap: secret and secret_file: want one of the two")
	case c.Secret != "" && !strings.HasPrefix(c.Secret, "{"):
		return errors.New("bootstrap: secret: want a placeholder such as {env.BOOTSTRAP_SECRET}, not the secret itself")
	case c.TTL < 0 || c.TTL > maxBootstrapTTL:
		return fmt.Errorf("bootstrap: ttl %s: want at most %s", c.TTL, maxBootstrapTTL)
	}
	for _, f := range []struct{ name, path string }{
		{"secret_file", c.SecretFile}, {"admin_key_file", c.AdminKeyFile}, {"file", c.File},
	} {
		if f.path != "" && !filepath.IsAbs(f.path) && f.path[0] != '{' {
			return fmt.Errorf("bootstrap: %s %q: want an absolute path", f.name, f.path)
		}
	}
	return nil
}

func (c BootstrapConfig) withDefaults(directory string) BootstrapConfig {
	if c.TTL == 0 {
		c.TTL = defaultBootstrapTTL
	}
	if c.SecretFile == "" {
		c.SecretFile = filepath.Join(directory, "bootstrap-secret")
	}
	return c
}
