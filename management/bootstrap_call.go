package management

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

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

// where says where a secret is that was generated, to who asks for it.
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
