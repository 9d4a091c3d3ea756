package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// Keep puts a credential where docker looks for it: with the helper that its
// configuration names, else in its file. It returns where that is.
func Keep(ctx context.Context, path string, k *Credential) (where string, err error) {
	if err := k.check(); err != nil {
		return "", err
	}
	c, err := OpenDockerConfig(path)
	if err != nil {
		return "", err
	}
	if name := c.Helper(k.Registry); name != "" {
		return "docker-credential-" + name, StoreWithHelper(ctx, name, k)
	}
	if err := c.Put(k); err != nil {
		return "", err
	}
	return path, c.Save()
}

// Logout ends the login to a registry: at the gateway, as far as it can be
// reached, and on this machine. It reports whether there was one.
func Logout(ctx context.Context, path string, o Options) (bool, error) {
	there, err := o.logout(ctx, path)
	return there, terminal.Error(err)
}

func (o Options) logout(ctx context.Context, path string) (bool, error) {
	_, host, err := address(ctx, o.Registry)
	if err != nil {
		return false, err
	}
	c, err := OpenDockerConfig(path)
	if err != nil {
		return false, err
	}
	token, there := c.Get(host)
	name := c.Helper(host)
	if name != "" {
		kept, err := GetWithHelper(ctx, name, host)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if err == nil {
			there = true
			if kept.Identity {
				token = kept.Secret
			}
		}
	}
	var unreachable error
	if token != "" {
		unreachable = Revoke(ctx, o, token)
	}
	if name != "" && there {
		if _, err := CallHelper(ctx, name, "erase", []byte(host)); err != nil && !errors.Is(err, ErrNotFound) {
			return there, err
		}
	}
	if removed, err := c.Remove(host); err != nil {
		return there, err
	} else if removed {
		if err := c.Save(); err != nil {
			return there, err
		}
	}
	if unreachable != nil {
		return there, fmt.Errorf("logged out on this machine, but the gateway could not be told (%w): end the login on its page of devices and sessions", unreachable)
	}
	return there, nil
}

// DockerConfig is docker's configuration file, of which only what is about
// credentials is read and changed.
type DockerConfig struct {
	path   string
	fields map[string]json.RawMessage
	auths  map[string]json.RawMessage
}

// entry is a credential in the file. With an identity token, the user name is
// in Auth as docker writes it, and the password empty.
type entry struct {
	Auth          string `json:"auth,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
}

// DockerConfigPath is where docker's configuration is: in $DOCKER_CONFIG, else
// in the home directory.
func DockerConfigPath() (string, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json"), nil
}

// OpenDockerConfig reads docker's configuration; that there is none is none
// with nothing in it.
func OpenDockerConfig(path string) (*DockerConfig, error) {
	c := &DockerConfig{path: path, fields: map[string]json.RawMessage{}, auths: map[string]json.RawMessage{}}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(data, &c.fields); err != nil {
		return nil, fmt.Errorf("%s is not JSON: %w", path, err)
	}
	if raw, ok := c.fields["auths"]; ok {
		if err := json.Unmarshal(raw, &c.auths); err != nil {
			return nil, fmt.Errorf("%s: auths: %w", path, err)
		}
	}
	if c.fields == nil || c.auths == nil { // "null"
		c.fields, c.auths = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	}
	return c, nil
}

// Helper returns the name of the credential helper that docker asks about a
// registry, empty if it keeps credentials in its file.
func (c *DockerConfig) Helper(registry string) string {
	var helpers map[string]string
	if json.Unmarshal(c.fields["credHelpers"], &helpers) == nil {
		if name, ok := helpers[registry]; ok {
			return name
		}
	}
	var name string
	_ = json.Unmarshal(c.fields["credsStore"], &name)
	return name
}

// UseHelper makes docker ask a helper about a registry.
func (c *DockerConfig) UseHelper(registry, name string) error {
	helpers := map[string]string{}
	if raw, ok := c.fields["credHelpers"]; ok {
		if err := json.Unmarshal(raw, &helpers); err != nil {
			return fmt.Errorf("%s: credHelpers: %w", c.path, err)
		}
	}
	helpers[registry] = name
	return c.set("credHelpers", helpers)
}

// Put keeps a credential in the file.
func (c *DockerConfig) Put(k *Credential) error {
	e := entry{Auth: base64.StdEncoding.EncodeToString([]byte(k.Username + ":" + k.Secret))}
	if k.Identity {
		e = entry{Auth: base64.StdEncoding.EncodeToString([]byte(k.Username + ":")), IdentityToken: k.Secret}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	c.auths[k.Registry] = raw
	return c.set("auths", c.auths)
}

// Get returns the identity token that the file has of a registry, if any.
func (c *DockerConfig) Get(registry string) (identityToken string, known bool) {
	raw, known := c.auths[registry]
	var e entry
	_ = json.Unmarshal(raw, &e)
	return e.IdentityToken, known
}

// Remove forgets the credential of a registry, and reports whether there was
// one.
func (c *DockerConfig) Remove(registry string) (bool, error) {
	if _, known := c.auths[registry]; !known {
		return false, nil
	}
	delete(c.auths, registry)
	return true, c.set("auths", c.auths)
}

func (c *DockerConfig) set(name string, value any) error {
	raw, err := json.Marshal(value)
	if err == nil {
		c.fields[name] = raw
	}
	return err
}

// Save writes the file, for its owner only, all at once. Where the file is a
// link the file behind it is written, as docker does.
func (c *DockerConfig) Save() error {
	data, err := json.MarshalIndent(c.fields, "", "\t")
	if err != nil {
		return err
	}
	path := c.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return WriteFile(path, append(data, '\n'))
}

// WriteFile replaces a file by one that only its owner can read, at once.
func WriteFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
