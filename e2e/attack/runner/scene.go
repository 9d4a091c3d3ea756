package runner

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// fresh is the scene of rows that need a stage on which nothing was played.
const fresh = "fresh"

// scene is a stage that is special in some way.
type scene struct {
	// options change the stage before it starts, and turn the one that runs
	// once the placeholders of a row are filled in.
	options, turn func(*stage.Options)
	// said is how a row may ask for the scene in its setup.
	said []string
}

// scenes by name.
var scenes = map[string]scene{
	"":    {},
	fresh: {said: []string{"fresh state", "fresh stage"}},
	"https": {options: func(o *stage.Options) {
		o.Public = "https://registry.example"
	}, said: []string{"public_url is https"}},
	"proxied": {options: func(o *stage.Options) {
		o.Servers = "trusted_proxies static 127.0.0.0/8"
	}, said: []string{"behind a trusted proxy"}},
	"identity-tokens-off": {turn: func(o *stage.Options) {
		o.NoIdentityTokens = true
	}, said: []string{"refresh tokens switched off", "refresh tokens off", "identity tokens switched off"}},
}

// scene is the name of the scene that the row asks for.
func (row *Row) scene() string {
	if row.Stage != "" {
		return row.Stage
	}
	setup := strings.ToLower(row.Setup)
	for name, s := range scenes {
		for _, phrase := range s.said {
			if strings.Contains(setup, phrase) {
				return name
			}
		}
	}
	return ""
}

// setStage provides the stage that a row asks for: the one that is there,
// unless it is another, was spoilt, or has to be fresh and is not.
func (r *Runner) setStage(ctx context.Context, name string) error {
	wanted, ok := scenes[name]
	if !ok {
		return unsupported("stage %q", name)
	}
	if name == fresh {
		r.spoilt = r.spoilt || r.used
		name = ""
	}
	if r.stage != nil && r.scene == name && !r.spoilt {
		return nil
	}
	if err := r.strike(); err != nil {
		return err
	}
	options := stage.Options{Record: true, Managed: true}
	if wanted.options != nil {
		wanted.options(&options)
	}
	s, err := stage.Start(ctx, options)
	if err != nil {
		return err
	}
	r.stage, r.scene, r.spoilt, r.used = s, name, false, false
	r.uploads, r.sessions, r.adminKey = map[string]string{}, map[string]string{}, ""
	r.host, r.sessionCookie = s.Addr, plainSessionCookie
	if name, ok := strings.CutPrefix(options.Public, "https://"); ok {
		r.host, r.sessionCookie = name, "__Host-"+plainSessionCookie
	}
	for _, robot := range s.Robots {
		r.secrets.add(robot.Secret)
	}
	r.secrets.add(stage.UpstreamPassword)
	r.secrets.add(idp.ClientSecret)
	r.secrets.add(s.BootstrapSecret)
	r.secrets.add(stage.LocalPassword)
	return nil
}

// turn does what the scene has in store for the moment before the request.
func (r *Runner) turn(ctx context.Context) error {
	if turn := scenes[r.scene].turn; turn != nil {
		r.spoilt = true
		return r.stage.Reconfigure(ctx, turn)
	}
	return nil
}

// strike takes the stage down, if there is one.
func (r *Runner) strike() error {
	if r.stage == nil {
		return nil
	}
	err := r.stage.Stop()
	r.stage = nil
	return err
}

// mend keeps later rows from being judged by what a row has done: images are
// pushed again, and what the gateway knows is had as new with another stage.
func (r *Runner) mend(ctx context.Context, o *outcome, failed bool) {
	switch {
	case o == nil:
		r.spoilt = r.spoilt || r.until(ctx, "", http.StatusUnauthorized) != nil
	case o.changedGateway() || len(o.faults) > 0 || failed && o.wrote():
		r.spoilt = true
	case o.wrote():
		r.spoilt = r.spoilt || r.stage.Seed(ctx) != nil
	}
}

// wrote reports whether a row may have changed something at the registry.
func (o *outcome) wrote() bool {
	for _, q := range o.upstream {
		if !safe(q.Method) {
			return true
		}
	}
	return false
}

// changedGateway reports whether a row may have changed what the gateway
// keeps: robots, people, sessions, keys. That there is an administrator is
// known to the runner.
func (o *outcome) changedGateway() bool {
	path, _, _ := strings.Cut(o.target, "?")
	switch {
	case safe(o.row.Method), o.answer.status >= http.StatusBadRequest:
		return false
	case path == apiPath+"/bootstrap", path == stage.TokenPath, strings.HasPrefix(path, "/v2/"):
		return false
	}
	return true
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// rank is when a row is played. Those about the first administrator come
// first, while there is none, and those of a scene after each other.
func (row *Row) rank() string {
	if row.Group == groupBootstrap {
		return "0"
	}
	return fmt.Sprintf("1 %s", row.scene())
}
