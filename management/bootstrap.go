package management

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Bootstrap gives a realm its first administrator, once: a call that shows the
// bootstrap secret gets a key for a short while, which makes those that last.
// Of many calls on many gateways one wins. A key or a file in the
// configuration may stand in for the call; see [BootstrapConfig].
//
// All of it hangs on one record in the store, which is only ever changed as
// long as it is as it was read.
type Bootstrap struct {
	manager   *Manager
	config    BootstrapConfig
	directory string
	host      string
	throttle  *authn.Throttle

	mu      sync.Mutex
	secrets [][sha256.Size]byte // from the configuration and the file
}

// BootstrapOptions make a [Bootstrap].
type BootstrapOptions struct {
	// Manager has the state and the static keys.
	Manager *Manager
	Config  BootstrapConfig
	// Secret is the resolved value of Config.Secret.
	Secret string
	// Directory is the realm's, in Caddy's data directory.
	Directory string
	// Host is how messages call this machine.
	Host string
}

// NewBootstrap makes a bootstrap. It touches neither the store nor files;
// see [Bootstrap.Start].
func NewBootstrap(o BootstrapOptions) (*Bootstrap, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	b := &Bootstrap{
		manager: o.Manager, config: o.Config.withDefaults(o.Directory), directory: o.Directory, host: o.Host,
		throttle: authn.NewThrottle(o.Manager.now),
	}
	if o.Config.Secret == "" {
		return b, nil
	}
	if n := len(o.Secret); n < minStaticKey {
		return nil, fmt.Errorf("bootstrap: secret has %d characters, want at least %d", n, minStaticKey)
	}
	b.secrets = [][sha256.Size]byte{sha256.Sum256([]byte(o.Secret))}
	return b, nil
}

// record returns how far things are, and the condition that it is still so.
func (b *Bootstrap) record() (state.Bootstrap, store.Precondition) {
	if item, ok := b.manager.state.Bootstraps.Get(state.BootstrapID); ok {
		return *item.Value, state.Unchanged(item)
	}
	return state.Bootstrap{}, state.Absent
}

// Status returns nil if there is no administrator yet and the call can be
// made, else an [*Error] that says why not: [CodeNotFound].
func (b *Bootstrap) Status() error {
	r, _ := b.record()
	if why := b.closed(&r); why != "" {
		return fail(CodeNotFound, "%s", why)
	}
	return nil
}

// closed says why the call cannot be made, "" if it can.
func (b *Bootstrap) closed(r *state.Bootstrap) string {
	m := b.manager
	switch {
	case b.config.Off:
		return "bootstrap is switched off in the configuration"
	case r.Reopened:
		return ""
	case !r.Done.IsZero():
		return fmt.Sprintf("bootstrap was done on %s (%s, key %s): use a key that was made then, or reset it (reset index: %d)",
			r.Done.Format(time.RFC3339), r.By, r.Key, r.Index)
	case slices.ContainsFunc(m.statics, func(k staticKey) bool { return slices.Contains(k.config.Scopes, string(ScopeAll)) }):
		return "there is an administrator's key in the configuration: use that one"
	}
	for item := range m.state.APIKeys.All() {
		if lasts(item.Value, m.now()) {
			return fmt.Sprintf("there is an administrator's key, %s: use that one, or reset bootstrap (reset index: %d)", item.Value.Name, r.Index)
		}
	}
	return ""
}

// lasts reports whether a key is an administrator's, beyond bootstrap.
func lasts(k *state.APIKey, now time.Time) bool {
	return !k.Bootstrap && !k.Disabled && slices.Contains(k.Scopes, string(ScopeAll)) && (k.Expires.IsZero() || now.Before(k.Expires))
}

// errAgain: the record was changed by somebody else; what they wrote is known
// by now.
var errAgain = errors.New("changed meanwhile")

// commit writes a change of the record. Whoever loses against another gateway
// learns first what that one has written.
func (b *Bootstrap) commit(ctx context.Context, tx *state.Tx) error {
	err := b.manager.state.Commit(ctx, tx)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	const patience = 5 * time.Second
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := b.manager.state.CaughtUp(wait, conflict.Revision); err != nil {
		return err
	}
	return errAgain
}

// retry does something until no other gateway is in the way.
func retry(do func() error) error {
	const most = 20
	var err error
	for range most {
		if err = do(); !errors.Is(err, errAgain) {
			return err
		}
	}
	return fail(CodeConflict, "other gateways keep changing how bootstrap stands")
}

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

// bootstrapRoutes are how the first administrator is made.
func (a *API) bootstrapRoutes() []route {
	if a.options.Bootstrap == nil {
		return nil
	}
	b := a.options.Bootstrap
	routes := []route{
		{
			method: http.MethodGet, path: "/bootstrap", id: "getBootstrap", group: "bootstrap", open: true,
			summary: "204: there is no administrator yet, and the call can be made. 404: bootstrap is closed.",
			status:  http.StatusNoContent, fails: []Code{CodeNotFound},
			serve: func(*call) (*answer, error) { return &answer{}, b.Status() },
		},
		{
			method: http.MethodPost, path: "/bootstrap", id: "bootstrap", group: "bootstrap", open: true,
			summary: "Makes the first administrator's key, once. It ends within the hour, or when it has made a key for * that lasts.",
			body:    of[BootstrapCall](), status: http.StatusCreated, result: of[BootstrapKey](), fails: []Code{CodeUnauthenticated, CodeConflict, CodeBusy},
			serve: func(c *call) (*answer, error) {
				who, err := a.bootstrapCaller(c.request)
				if err != nil {
					return nil, err
				}
				made, err := b.Call(c.request.Context(), who, input[BootstrapCall](c))
				return &answer{value: made}, err
			},
		},
	}
	if a.options.Local == nil {
		return routes
	}
	return append(routes, route{
		method: http.MethodPost, path: "/bootstrap/reset", id: "resetBootstrap", group: "bootstrap",
		summary: "Opens bootstrap again, whatever keys there are. Only on the machine's own administration endpoint.",
		status:  http.StatusNoContent, fails: []Code{CodeForbidden, CodeConflict},
		serve: func(c *call) (*answer, error) { return &answer{}, b.Reset(c.request.Context(), c.who) },
	})
}

// bootstrapCaller is who makes the call, which needs no credential beside the
// secret.
func (a *API) bootstrapCaller(r *http.Request) (*Caller, error) {
	if a.options.Local != nil {
		return a.caller(r)
	}
	return &Caller{Remote: a.remote(r), Agent: r.UserAgent(), RequestID: a.requestID(r), actor: state.Actor{Kind: "bootstrap"}}, nil
}

// BootstrapCall is what the call shows and asks for.
type BootstrapCall struct {
	Secret string `json:"secret,omitempty" doc:"The bootstrap secret. Only who is on the machine needs none." max:"4096"`
	Key    string `json:"key,omitempty" doc:"The value that the key is to have: one in our own format, or at least 32 random characters. Whoever gives one may repeat a call whose answer was lost. Default: one is made." max:"256"`
	Name   string `json:"name,omitempty" doc:"How lists call the key. Default: bootstrap." max:"100"`
}

// BootstrapKey is the answer.
type BootstrapKey struct {
	ID      string    `json:"id" doc:"The public id of the key."`
	Name    string    `json:"name"`
	Key     string    `json:"key,omitempty" doc:"The key, shown this once; absent if it was given."`
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires" doc:"When it ends at the latest. It ends as soon as an administrator's key was made that lasts."`
}

const (
	bootstrapName = "bootstrap"
	maxKeyName    = 100
)

// Call makes the administrator's key. Whoever calls needs no right but the
// secret; a caller of the machine itself ([Local]) needs none.
func (b *Bootstrap) Call(ctx context.Context, who *Caller, in BootstrapCall) (*BootstrapKey, error) {
	var made *BootstrapKey
	err := retry(func() error {
		if err := b.resetByFile(ctx, who); err != nil {
			return err
		}
		var err error
		made, err = b.call(ctx, who, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (b *Bootstrap) call(ctx context.Context, who *Caller, in BootstrapCall) (*BootstrapKey, error) {
	m := b.manager
	r, condition := b.record()
	why := b.closed(&r)
	if why != "" && !b.repeats(&r, in.Key) {
		return nil, fail(CodeConflict, "%s", why)
	}
	if err := b.check(who, &r, in.Secret); err != nil {
		return nil, err
	}
	if len(in.Name) > maxKeyName {
		return nil, invalid("name", "longer than %d bytes", maxKeyName)
	}
	if in.Name == "" {
		in.Name = bootstrapName
	}
	now := m.second()
	made := &BootstrapKey{Name: in.Name, Scopes: []string{string(ScopeAll)}, Expires: now.Add(time.Duration(b.config.TTL))}
	key := in.Key
	if key == "" {
		key, _ = authn.NewSecret(authn.SecretAPIKey)
		made.Key = key
	}
	id, hash, err := suppliedKey(key)
	if err != nil {
		return nil, invalid("key", "%v", err)
	}
	made.ID = id
	if why != "" { // the same call again, after its answer was lost
		item, ok := m.state.APIKeys.Get(id)
		if !ok || item.Value.Hash != hash || !item.Value.Bootstrap {
			return nil, fail(CodeConflict, "%s", why)
		}
		made.Name, made.Expires = item.Value.Name, item.Value.Expires
		return made, nil
	}
	record := &state.APIKey{
		Name: in.Name, Hash: hash, Scopes: made.Scopes, Bootstrap: true,
		Created: now, CreatedBy: who.Actor().String(), Expires: made.Expires,
	}
	after := state.Bootstrap{Index: r.Index, Done: now, By: "call", Key: id, File: r.File}
	var tx state.Tx
	state.Put(&tx, m.state.Bootstraps, state.BootstrapID, &after, condition)
	state.Put(&tx, m.state.APIKeys, id, record, state.Absent)
	tx.Note(who.Actor(), "bootstrap.call", keyObject(id, record), nil, made.withoutKey())
	if err := b.commit(ctx, &tx); err != nil {
		return nil, err
	}
	b.forgetSecret(&r)
	return made, nil
}

func (k BootstrapKey) withoutKey() BootstrapKey {
	k.Key = ""
	return k
}

// repeats reports whether the key that is asked for is the one that was made.
func (b *Bootstrap) repeats(r *state.Bootstrap, key string) bool {
	if key == "" || r.By != "call" {
		return false
	}
	id, _, err := suppliedKey(key)
	return err == nil && id == r.Key
}

// check says whether the secret is the right one.
func (b *Bootstrap) check(who *Caller, r *state.Bootstrap, secret string) error {
	if who.actor.Kind == "local" || b.matches(r, secret) {
		return nil
	}
	wrong := b.throttle.Failed(&authn.Credential{
		Scheme: authn.SchemeBasic, Username: bootstrapName, Secret: secret, Remote: who.Remote,
	}, authn.ErrInvalid)
	b.manager.log.Warn("wrong bootstrap secret", "realm", b.manager.state.Realm(), "remote", who.Remote.String())
	if e := AsError(wrong); e.Code == CodeBusy {
		e.Detail = "too many wrong bootstrap secrets"
		return e
	}
	return fail(CodeUnauthenticated, "the bootstrap secret is wrong%s", b.where(r))
}

func (b *Bootstrap) matches(r *state.Bootstrap, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	b.mu.Lock()
	defer b.mu.Unlock()
	right := 0
	for _, want := range b.secrets {
		right |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	// One that was generated is good on every gateway.
	if b.config.Secret == "" && r.SecretHash != "" {
		if hash, err := authn.ParseHash(r.SecretHash); err == nil && hash.Matches(secret) {
			right = 1
		}
	}
	return right == 1
}

// where tells the caller where a generated secret is.
func (b *Bootstrap) where(r *state.Bootstrap) string {
	if b.config.Secret != "" || r.SecretAt == "" {
		return ""
	}
	return "; it was generated, and the log says where it was written"
}

// forgetSecret removes the file of a generated secret that is used up; where
// another gateway has it, that one does when it starts.
func (b *Bootstrap) forgetSecret(r *state.Bootstrap) {
	if r.SecretAt != b.at() {
		return
	}
	if err := removeFile(b.config.SecretFile); err != nil {
		b.manager.log.Warn("removing the bootstrap secret, which is used up", "file", b.config.SecretFile, "error", err)
	}
}

// at is where this gateway writes a secret that it generates.
func (b *Bootstrap) at() string { return b.host + ":" + b.config.SecretFile }
