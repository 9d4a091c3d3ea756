package management

import (
	"context"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Key is a key of the API as it is shown, without its secret.
type Key struct {
	ID string `json:"id" doc:"What logs call it; of a key of the configuration, static: and the name." max:"128"`
	KeySettings
	Created   *time.Time `json:"created,omitempty"`
	CreatedBy string     `json:"created_by,omitempty" doc:"Who made it." max:"600"`
	Disabled  bool       `json:"disabled,omitempty"`
	Bootstrap bool       `json:"bootstrap,omitempty" doc:"It ends as soon as there is a key that lasts."`
	LastUsed  *LastUsed  `json:"last_used,omitempty" doc:"When and from where it was used last, as of half a minute ago."`
	Source    string     `json:"source" doc:"store, or where the configuration has it. What is declared cannot be changed here." max:"512"`
	Superseded

	revision uint64
}

// KeySettings are what there is to say of a key.
type KeySettings struct {
	Name    string     `json:"name" doc:"For people to tell it from others." min:"1" max:"100"`
	Scopes  []string   `json:"scopes" doc:"What it is good for, such as robots:read; who may write may read. * is everything." min:"1" max:"30"`
	From    []string   `json:"from,omitempty" doc:"The networks that it is accepted from. Absent: from anywhere." max:"100"`
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends, to the second. Absent: never."`
}

// KeyWithSecret is a key with the secret, which is shown this once.
type KeyWithSecret struct {
	Key
	Secret string `json:"secret" doc:"The key itself, shown this once." max:"128"`
}

// KeyInput is what may be changed of a key.
type KeyInput struct {
	Disabled bool `json:"disabled,omitempty" doc:"It is refused until it is enabled again."`
}

// staticPrefix begins the ids of keys of the configuration.
const staticPrefix = "static:"

func (m *Manager) showKey(id string, k *state.APIKey, revision uint64) *Key {
	return &Key{
		Superseded: m.superseded(m.keySource(k.Name)),
		ID:         id, Created: timeOf(k.Created), CreatedBy: k.CreatedBy, Disabled: k.Disabled, Bootstrap: k.Bootstrap,
		KeySettings: KeySettings{Name: k.Name, Scopes: append([]string{}, k.Scopes...), From: k.From, Expires: timeOf(k.Expires)},
		LastUsed:    m.lastUsed(m.state.APIKeys.Kind(), id), Source: sourceStore, revision: revision,
	}
}

// keySource is where the configuration has a key of that name, "" if it has
// none.
func (m *Manager) keySource(name string) string {
	if k := m.static(staticPrefix + name); k != nil {
		return sourceOr(k.config.Source)
	}
	return ""
}

func showStatic(k *staticKey) *Key {
	return &Key{
		ID: staticPrefix + k.config.Name, Source: sourceOr(k.config.Source),
		KeySettings: KeySettings{Name: k.config.Name, Scopes: k.config.Scopes, From: k.config.From},
	}
}

// Keys lists the keys of the API, those of the configuration included.
func (m *Manager) Keys(who *Caller, q PageQuery) (*Page[*Key], error) {
	if err := m.needsAdmin(who, ScopeKeysRead); err != nil {
		return nil, err
	}
	keys := func(yield func(*Key) bool) {
		for i := range m.statics {
			if !yield(showStatic(&m.statics[i])) {
				return
			}
		}
		for item := range m.state.APIKeys.All() {
			if !yield(m.showKey(item.ID, item.Value, item.Revision)) {
				return
			}
		}
	}
	return page(q, keys, func(k *Key) string { return k.ID }, func(k *Key) *Key { return k })
}

// Key returns a key.
func (m *Manager) Key(who *Caller, id string) (*Key, error) {
	if err := m.needsAdmin(who, ScopeKeysRead); err != nil {
		return nil, err
	}
	if k := m.static(id); k != nil {
		return showStatic(k), nil
	}
	item, ok := m.state.APIKeys.Get(id)
	if !ok {
		return nil, noKey(id)
	}
	return m.showKey(id, item.Value, item.Revision), nil
}

func (m *Manager) static(id string) *staticKey {
	for i := range m.statics {
		if staticPrefix+m.statics[i].config.Name == id {
			return &m.statics[i]
		}
	}
	return nil
}

func noKey(id string) error { return fail(CodeNotFound, "there is no key %.64q", id) }

func keyObject(id string, k *state.APIKey) state.Object {
	return state.Object{Kind: "api_key", ID: id, Name: k.Name}
}

// maxKeys is how many keys there may be at once.
const maxKeys = 1000

// CreateKey makes a key, which is good for no more than what the caller shows
// and does not outlive it. The first one for everything that lasts ends the key
// that bootstrap gave.
func (m *Manager) CreateKey(ctx context.Context, who *Caller, in KeySettings) (*KeyWithSecret, error) {
	if err := m.needsAdmin(who, ScopeKeysWrite); err != nil {
		return nil, err
	}
	if err := mayCreate(who); err != nil {
		return nil, err
	}
	var wrong problems
	k := &state.APIKey{Name: in.Name, Scopes: in.Scopes, From: in.From, Created: m.second(), CreatedBy: who.actor.String()}
	if in.Expires != nil {
		k.Expires = in.Expires.UTC().Truncate(time.Second)
	}
	m.checkLifetime(&wrong, "expires", k.Expires, 0)
	for i, s := range in.Scopes {
		wrong.check(at("scopes", i), CheckScope(s))
	}
	if _, err := parseSources(in.From); err != nil {
		wrong.check("from", err)
	}
	checkPrintable(&wrong, "name", in.Name)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	m.mayHandOn(who, handed{scopes: k.Scopes, from: k.From, expires: k.Expires}, &wrong)
	if err := wrong.forbidden(moreThanShown); err != nil {
		return nil, err
	}
	secret, stored := authn.NewSecret(authn.SecretAPIKey)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	k.Hash = stored
	made := &KeyWithSecret{Key: *m.showKey(parsed.ID, k, 0), Secret: secret}
	err = m.counted(ctx, func() error {
		if err := m.nameIsFree(k.Name); err != nil {
			return err
		}
		var tx state.Tx
		state.Put(&tx, m.state.APIKeys, parsed.ID, k, state.Absent)
		tx.Note(who.Actor(), "api_key.create", keyObject(parsed.ID, k), nil, &made.Key)
		m.countKeys(&tx)
		m.endBootstrap(&tx, who, k)
		return m.commit(ctx, who, &tx, made)
	})
	if err != nil {
		return nil, err
	}
	if item, ok := m.state.APIKeys.Get(parsed.ID); ok {
		made.revision = item.Revision
	}
	return made, nil
}

// nameIsFree returns an error if a key of that name is good.
func (m *Manager) nameIsFree(name string) error {
	count := 0
	for item := range m.state.APIKeys.All() {
		if count++; item.Value.Name == name && m.alive(item.Value.Expires) {
			return fail(CodeExists, "there is a key called %q", name)
		}
	}
	if m.static(staticPrefix+name) != nil {
		return fail(CodeExists, "there is a key called %q in the configuration", name)
	}
	if count >= maxKeys {
		return fail(CodeConflict, "there are %d keys: delete some of them first", count)
	}
	return nil
}

// countKeys adds to a change that makes keys that it was made: of two such
// changes at once, one fails and counts again.
func (m *Manager) countKeys(tx *state.Tx) {
	const id = "keys"
	next, condition := &state.Setting{Changed: m.second()}, state.Absent
	if item, ok := m.state.Settings.Get(id); ok {
		next.Number, condition = item.Value.Number+1, state.Unchanged(item)
	}
	state.Put(tx, m.state.Settings, id, next, condition)
}

// endBootstrap ends the temporary key once there is one that can take its
// place.
func (m *Manager) endBootstrap(tx *state.Tx, who *Caller, k *state.APIKey) {
	if !lasts(k, m.now()) {
		return
	}
	for item := range m.state.APIKeys.All() {
		if item.Value.Bootstrap {
			state.Delete(tx, m.state.APIKeys, item.ID, state.Unchanged(item))
			tx.Note(who.Actor(), "api_key.delete", keyObject(item.ID, item.Value), m.showKey(item.ID, item.Value, 0), nil)
		}
	}
}
