package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// FileConfig is a file with the login to a registry, such as a mounted secret.
type FileConfig struct {
	// The file, with `user:password` or, if a user name is given, the password
	// alone. It is read again when it changes.
	Path string `json:"path"`

	// The user whose password the file has.
	Username string `json:"username,omitempty"`
}

const (
	maxLoginFile = 1 << 20
	// lookEvery is how often a file is looked at, at most, while requests
	// come: what was changed is in use a second later.
	lookEvery = time.Second
	keepFile  = 24 * time.Hour
)

// File are logins that a file has.
type File struct {
	held   held[Login]
	forget func(Login) // tells whom the file refers to; nil: nobody
}

// NewFile makes them. A file that cannot be read is an error.
func NewFile(c FileConfig, now func() time.Time) (*File, error) {
	return newFile(c.Path, now, func(_ context.Context, text []byte) (Login, time.Duration, error) {
		line := strings.TrimRight(string(text), "\r\n")
		if c.Username != "" && line != "" {
			return Login{Username: c.Username, Password: line}, keepFile, nil
		}
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || strings.ContainsAny(line, "\r\n") {
			return Login{}, 0, fmt.Errorf("%w: %s does not have user:password, or a password for a username that is configured", ErrRefused, c.Path)
		}
		return NewLogin(user, password), keepFile, nil
	})
}

// newFile makes logins of a file that read can read; it says how long they are
// used while the file cannot be looked at.
func newFile(path string, now func() time.Time, read func(context.Context, []byte) (Login, time.Duration, error)) (*File, error) {
	if path == "" {
		return nil, errors.New("the path is missing")
	}
	if now == nil {
		now = time.Now
	}
	var watched watchedFile
	watched.path = path
	if _, err := watched.read(); err != nil {
		return nil, err
	}
	f := new(File)
	f.held = held[Login]{now: now, fetch: func(ctx context.Context) (Login, lifetime, error) {
		text, err := watched.read()
		if err != nil {
			return Login{}, lifetime{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		l, d, err := read(ctx, text)
		return l, lifetime{renew: now().Add(lookEvery), until: now().Add(d)}, err
	}}
	return f, nil
}

// Login implements [Logins].
func (f *File) Login(ctx context.Context) (Login, error) { return f.held.get(ctx) }

// Forget implements [Logins]: the file is read again.
func (f *File) Forget(l Login) {
	if f.forget != nil {
		f.forget(l)
	}
	f.held.drop(0, func(now Login) bool { return now == l })
}

// watchedFile is the text of a file, read again when it has changed.
type watchedFile struct {
	path string
	mu   sync.Mutex
	seen os.FileInfo
	text []byte
}

func (w *watchedFile) read() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, err
	}
	if w.seen != nil && os.SameFile(info, w.seen) && info.ModTime().Equal(w.seen.ModTime()) && info.Size() == w.seen.Size() {
		return w.text, nil
	}
	if !info.Mode().IsRegular() || info.Size() > maxLoginFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", w.path, maxLoginFile)
	}
	file, err := os.Open(w.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxLoginFile))
	if err == nil {
		w.text, w.seen = text, info
	}
	return text, err
}

// DockerConfig is a configuration file of docker, with the logins of many
// registries or the programs that have them.
type DockerConfig struct {
	// The file. Default: `~/.docker/config.json`, or in `DOCKER_CONFIG`.
	Path string `json:"path,omitempty"`

	// The registry whose login is meant, as docker writes it:
	// `ghcr.io`, or `https://index.docker.io/v1/` for Docker Hub.
	Registry string `json:"registry"`
}

// NewDockerConfig makes logins of a configuration file of docker, looking as
// docker does: credHelpers, credsStore, auths.
func NewDockerConfig(c DockerConfig, now func() time.Time) (*File, error) {
	if c.Registry == "" {
		return nil, errors.New("docker_config: the registry is missing")
	}
	path := c.Path
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("docker_config: %w", err)
		}
		path = filepath.Join(home, ".docker")
		if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
			path = dir
		}
		path = filepath.Join(path, "config.json")
	}
	d := &dockerConfig{DockerConfig: c, path: path, now: now, programs: map[string]*Program{}}
	f, err := newFile(path, now, d.read)
	if err == nil {
		f.forget = d.forget
	}
	return f, err
}

// dockerConfig reads such a file, and has the programs that it names.
type dockerConfig struct {
	DockerConfig
	path     string
	now      func() time.Time
	mu       sync.Mutex
	programs map[string]*Program
}

func (c *dockerConfig) read(ctx context.Context, text []byte) (Login, time.Duration, error) {
	var file struct {
		Auths map[string]struct {
			Auth, Username, Password     string
			IdentityToken, RegistryToken string
		}
		CredsStore  string
		CredHelpers map[string]string
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Login{}, 0, fmt.Errorf("%w: %s is no configuration of docker: it is not JSON", ErrRefused, c.path)
	}
	for name, helper := range file.CredHelpers {
		if sameRegistry(name, c.Registry) && helper != "" {
			return c.ask(ctx, helper)
		}
	}
	if file.CredsStore != "" {
		return c.ask(ctx, file.CredsStore)
	}
	for name, a := range file.Auths {
		if !sameRegistry(name, c.Registry) {
			continue
		}
		l, ok := basicAuth(a.Auth)
		switch {
		case a.RegistryToken != "":
			l = Login{Bearer: a.RegistryToken}
		case a.IdentityToken != "":
			l = Login{IdentityToken: a.IdentityToken}
		case !ok && a.Username != "":
			l = NewLogin(a.Username, a.Password)
		case !ok:
			continue
		}
		return l, keepFile, nil
	}
	return Login{}, 0, fmt.Errorf("%w: %s has no login for %s", ErrRefused, c.path, c.Registry)
}

// ask asks docker's credential helper of a name.
func (c *dockerConfig) ask(ctx context.Context, helper string) (Login, time.Duration, error) {
	if strings.ContainsAny(helper, `/\`) {
		return Login{}, 0, fmt.Errorf("%w: the credential helper %.100q is no name", ErrRefused, helper)
	}
	c.mu.Lock()
	p, known := c.programs[helper]
	c.mu.Unlock()
	if !known {
		var err error
		if p, err = NewProgram(ProgramConfig{Command: []string{"docker-credential-" + helper}, Registry: c.Registry}, c.now); err != nil {
			return Login{}, 0, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		c.mu.Lock()
		c.programs[helper] = p
		c.mu.Unlock()
	}
	l, err := p.Login(ctx)
	return l, time.Minute, err
}

func (c *dockerConfig) forget(l Login) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.programs {
		p.Forget(l)
	}
}

// sameRegistry compares names of registries as docker does: without scheme and
// path.
func sameRegistry(a, b string) bool { return hostOf(a) == hostOf(b) }

func hostOf(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	host, _, _ := strings.Cut(name, "/")
	return host
}
