package credentials

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// Exec asks a program for the login, as clouds ship them.
type Exec struct {
	upstream.ProgramConfig

	// How long its answer is used. Default: what the answer says (`kubelet`), else
	// 5 minutes.
	Cache authn.Duration `json:"cache,omitempty"`

	direct
}

// CaddyModule returns the Caddy module information.
func (Exec) CaddyModule() caddy.ModuleInfo {
	return info("exec", func() caddy.Module { return new(Exec) })
}

// UnmarshalCaddyfile reads
//
//	exec <registry> <program> [<argument...>] {
//		format docker|kubelet
//		cache  <duration>
//	}
func (e *Exec) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.ArgErr()
	}
	e.Registry, e.Command = args[0], args[1:]
	options := caddyfile.Options{"format": caddyfile.Text(&e.Format), "cache": caddyfile.Span(&e.Cache)}
	if err := options.Read(d, "exec"); err != nil {
		return err
	}
	return caddyfile.Valid(d, &e.ProgramConfig)
}

// Provision looks for the program. It is run when a login is needed.
func (e *Exec) Provision(caddy.Context) (err error) {
	config := e.ProgramConfig
	config.Cache = time.Duration(e.Cache)
	e.Logins, err = hold(&e.held, "exec", []any{config, e.Cache}, func() (upstream.Logins, error) { return upstream.NewProgram(config, nil) })
	return err
}

// File reads the login from a file, and again when it changes.
type File struct {
	upstream.FileConfig
	direct
}

// CaddyModule returns the Caddy module information.
func (File) CaddyModule() caddy.ModuleInfo {
	return info("file", func() caddy.Module { return new(File) })
}

// UnmarshalCaddyfile reads
//
//	file <path> [<user>]
func (f *File) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if err := caddyfile.UpTo(&f.Path, &f.Username)(d); err != nil {
		return err
	}
	return noBlock(d, "file")
}

// Provision reads the file for the first time.
func (f *File) Provision(caddy.Context) (err error) {
	config := f.FileConfig
	if config.Path, err = caddyfile.Resolve("path", f.Path); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	f.Logins, err = hold(&f.held, "file", config, func() (upstream.Logins, error) { return upstream.NewFile(config, nil) })
	return err
}

// DockerConfig reads the login from a configuration file of docker, or asks the
// credential helper that it names.
type DockerConfig struct {
	upstream.DockerConfig
	direct
}

// CaddyModule returns the Caddy module information.
func (DockerConfig) CaddyModule() caddy.ModuleInfo {
	return info("docker_config", func() caddy.Module { return new(DockerConfig) })
}

// UnmarshalCaddyfile reads
//
//	docker_config <registry> [<path>]
func (c *DockerConfig) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if err := caddyfile.UpTo(&c.Registry, &c.Path)(d); err != nil {
		return err
	}
	return noBlock(d, "docker_config")
}

// Provision reads the file for the first time.
func (c *DockerConfig) Provision(caddy.Context) (err error) {
	config := c.DockerConfig
	if config.Path != "" {
		if config.Path, err = caddyfile.Resolve("path", c.Path); err != nil {
			return fmt.Errorf("docker_config: %w", err)
		}
	}
	c.Logins, err = hold(&c.held, "docker_config", config, func() (upstream.Logins, error) { return upstream.NewDockerConfig(config, nil) })
	return err
}
