package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The protocols that a [Program] speaks.
const (
	// FormatDocker is that of docker's credential helpers: `get`, and the
	// registry's address on standard input.
	FormatDocker = "docker"
	// FormatKubelet is that of the kubelet's credential providers, API version
	// credentialprovider.kubelet.k8s.io/v1.
	FormatKubelet = "kubelet"
)

// ProgramConfig is a program that has the login to a registry, as clouds ship
// them: docker-credential-ecr-login, gcp-credential-provider and others.
type ProgramConfig struct {
	// The program and its arguments. Without a slash it is looked for in PATH.
	Command []string `json:"command"`

	// The registry that it is asked for, such as
	// `123456789012.dkr.ecr.eu-central-1.amazonaws.com`.
	Registry string `json:"registry"`

	// The protocol: `docker` (default), a credential helper, or `kubelet`, a
	// credential provider.
	Format string `json:"format,omitempty"`

	// How long its answer is used. Default: what the answer says (`kubelet`), else
	// 5 minutes.
	Cache time.Duration `json:"-"`
}

// Validate returns what is wrong with the settings, naming the field.
func (c *ProgramConfig) Validate() error {
	switch {
	case len(c.Command) == 0 || c.Command[0] == "":
		return errors.New("exec: the program is missing")
	case c.Registry == "" || strings.ContainsAny(c.Registry, " \n\r\t"):
		return fmt.Errorf("exec: registry %.200q: want the registry's address, for which the program is asked", c.Registry)
	case c.Format != "" && c.Format != FormatDocker && c.Format != FormatKubelet:
		return fmt.Errorf("exec: format %.20q: want %s or %s", c.Format, FormatDocker, FormatKubelet)
	case c.Cache < 0 || c.Cache > 24*time.Hour:
		return fmt.Errorf("exec: cache %s is not between 0 and 24h", c.Cache)
	}
	return nil
}

// Program are logins that a program has.
type Program struct {
	config ProgramConfig
	path   string
	held   held[Login]
}

const (
	programTime   = 15 * time.Second
	programAnswer = 1 << 20
	programWords  = 300 // of its complaints, in bytes
	programCache  = 5 * time.Minute
)

// NewProgram makes them. A program that is not there is an error.
func NewProgram(c ProgramConfig, now func() time.Time) (*Program, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	if now == nil {
		now = time.Now
	}
	p := &Program{config: c, path: path}
	p.held = held[Login]{now: now, fetch: func(ctx context.Context) (Login, lifetime, error) {
		l, d, err := p.run(ctx)
		return l, livesFor(now(), d), err
	}}
	return p, nil
}

// Login implements [Logins].
func (p *Program) Login(ctx context.Context) (Login, error) { return p.held.get(ctx) }

// Forget implements [Logins]: the program is asked again.
func (p *Program) Forget(l Login) {
	p.held.drop(refusedFor, func(now Login) bool { return now == l })
}

// run asks the program.
func (p *Program) run(ctx context.Context) (Login, time.Duration, error) {
	name := p.config.Command[0]
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	arguments, question := p.config.Command[1:], p.config.Registry
	if p.config.Format == FormatKubelet {
		text, err := json.Marshal(map[string]string{
			"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": image(p.config.Registry),
		})
		if err != nil {
			return Login{}, 0, err
		}
		question = string(text)
	} else {
		arguments = slices.Concat(arguments, []string{"get"})
	}
	command := exec.CommandContext(ctx, p.path, arguments...) //nolint:gosec // the configuration names it
	var out, complaints bounded
	out.room, complaints.room = programAnswer, programWords
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(question), &out, &complaints
	command.WaitDelay = time.Second
	err := command.Run()
	switch text := strings.TrimSpace(string(out.text)); {
	case ctx.Err() != nil:
		return Login{}, 0, fmt.Errorf("%w: %s took longer than %s", ErrUnavailable, name, programTime)
	case err != nil && p.config.Format != FormatKubelet && strings.Contains(text, "credentials not found"):
		return Login{}, 0, fmt.Errorf("%w: %s has no login for %s", ErrRefused, name, p.config.Registry)
	case err != nil:
		return Login{}, 0, fmt.Errorf("%w: %s: %w: %q", ErrUnavailable, name, err, strings.TrimSpace(string(complaints.text)))
	case out.cut:
		return Login{}, 0, fmt.Errorf("%w: %s answers more than %d bytes", ErrUnavailable, name, programAnswer)
	}
	if p.config.Format == FormatKubelet {
		return p.kubelet(out.text)
	}
	var a struct{ Username, Secret string }
	if err := json.Unmarshal(out.text, &a); err != nil || a.Secret == "" {
		return Login{}, 0, fmt.Errorf("%w: %s answers no login in JSON", ErrUnavailable, name)
	}
	return NewLogin(a.Username, a.Secret), p.cache(0), nil
}

// kubelet reads a CredentialProviderResponse.
func (p *Program) kubelet(text []byte) (Login, time.Duration, error) {
	var a struct {
		Kind          string `json:"kind"`
		CacheDuration string `json:"cacheDuration"`
		Auth          map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auth"`
	}
	name := p.config.Command[0]
	if err := json.Unmarshal(text, &a); err != nil || a.Kind != "CredentialProviderResponse" {
		return Login{}, 0, fmt.Errorf("%w: %s answers no CredentialProviderResponse", ErrUnavailable, name)
	}
	best := ""
	for pattern := range a.Auth {
		if matchesImage(pattern, image(p.config.Registry)) && len(pattern) > len(best) {
			best = pattern
		}
	}
	if best == "" {
		return Login{}, 0, fmt.Errorf("%w: %s has no login for %s", ErrRefused, name, p.config.Registry)
	}
	d, err := time.ParseDuration(a.CacheDuration)
	if err != nil || d < 0 {
		d = 0
	}
	return NewLogin(a.Auth[best].Username, a.Auth[best].Password), p.cache(d), nil
}

func (p *Program) cache(said time.Duration) time.Duration {
	switch {
	case p.config.Cache > 0:
		return p.config.Cache
	case said > 0:
		return min(said, 24*time.Hour)
	}
	return programCache
}

// image is the registry without a scheme, as images begin.
func image(registry string) string {
	if u, err := url.Parse(registry); err == nil && u.Host != "" {
		return u.Host + strings.TrimSuffix(u.Path, "/")
	}
	return registry
}

// matchesImage reports whether a pattern of the kubelet is about an image: a
// star stands for a part of the host between dots, and the path of the pattern
// begins the image's.
func matchesImage(pattern, image string) bool {
	host, path, _ := strings.Cut(image, "/")
	wantedHost, wantedPath, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(pattern, "https://"), "http://"), "/")
	have, want := strings.Split(host, "."), strings.Split(wantedHost, ".")
	if len(have) != len(want) || !strings.HasPrefix(path, strings.TrimSuffix(wantedPath, "/")) {
		return false
	}
	for i, part := range want {
		before, after, star := strings.Cut(part, "*")
		if star && (len(have[i]) < len(before)+len(after) || !strings.HasPrefix(have[i], before) || !strings.HasSuffix(have[i], after)) || !star && part != have[i] {
			return false
		}
	}
	return true
}

// bounded keeps the beginning of what is written. It embeds no buffer, whose
// ReadFrom would go around the bound.
type bounded struct {
	text []byte
	room int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := p
	if room := b.room - len(b.text); len(p) > room {
		keep, b.cut = p[:room], true
	}
	b.text = append(b.text, keep...)
	return len(p), nil
}
