package management

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
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

	versioned
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
		LastUsed:    m.lastUsed(m.state.APIKeys.Kind(), id), Source: sourceStore, versioned: versioned{revision},
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
		guard := m.state.Guard(state.GuardKeys)
		if err := m.nameIsFree(k.Name); err != nil {
			return err
		}
		var tx state.Tx
		guard.Put(&tx)
		state.Put(&tx, m.state.APIKeys, parsed.ID, k, state.Absent)
		tx.Note(who.Actor(), "api_key.create", keyObject(parsed.ID, k), nil, &made.Key)
		m.endBootstrap(&tx, who, k)
		return m.commit(ctx, who, &tx, made)
	})
	if err != nil {
		return nil, err
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

// ChangeKey disables a key, or enables it again.
func (m *Manager) ChangeKey(ctx context.Context, who *Caller, id string, in KeyInput, match Match) (*Key, error) {
	var changed *Key
	as := func(k *state.APIKey) *state.APIKey {
		next := *k
		next.Disabled = in.Disabled
		return &next
	}
	done := func(k *state.APIKey) bool { return equalRecord(k, as(k)) }
	err := m.withKey(ctx, who, id, match, done, func(item *state.Item[state.APIKey]) error {
		next := *as(item.Value)
		if item.Value.Disabled && !next.Disabled {
			var wrong problems
			m.mayHandOn(who, handed{scopes: next.Scopes, from: next.From, expires: next.Expires}, &wrong)
			if err := wrong.forbidden(moreThanShown); err != nil {
				return err
			}
		}
		if done(item.Value) {
			changed = m.showKey(id, item.Value, item.Revision)
			return nil
		}
		changed = m.showKey(id, &next, 0)
		var tx state.Tx
		state.Put(&tx, m.state.APIKeys, id, &next, state.Unchanged(item))
		tx.Note(who.Actor(), "api_key.update", keyObject(id, &next), m.showKey(id, item.Value, 0), changed)
		return m.commit(ctx, who, &tx, changed)
	})
	return changed, err
}

// DeleteKey deletes a key.
func (m *Manager) DeleteKey(ctx context.Context, who *Caller, id string, match Match) error {
	kept := func(*state.APIKey) bool { return false }
	return m.withKey(ctx, who, id, match, kept, func(item *state.Item[state.APIKey]) error {
		var tx state.Tx
		state.Delete(&tx, m.state.APIKeys, id, state.Unchanged(item))
		tx.Note(who.Actor(), "api_key.delete", keyObject(id, item.Value), m.showKey(id, item.Value, 0), nil)
		return m.commit(ctx, who, &tx, nil)
	})
}

// withKey does something to a key that the caller may change: one that is good
// for no more than what it shows itself. Done reports whether that was done.
func (m *Manager) withKey(ctx context.Context, who *Caller, id string, match Match, done func(*state.APIKey) bool, do func(*state.Item[state.APIKey]) error) error {
	if err := m.needsAdmin(who, ScopeKeysWrite); err != nil {
		return err
	}
	if m.static(id) != nil {
		return fail(CodeDeclared, "key %.100q stands in the configuration: change it there", id)
	}
	return m.again(ctx, func() error {
		item, ok := m.state.APIKeys.Get(id)
		if !ok {
			return noKey(id)
		}
		if err := match.check(item.Revision, m.unsure.made(who, keyObject(id, item.Value), done(item.Value))); err != nil {
			return err
		}
		if !who.scopes.hasAll(item.Value.Scopes) {
			return fail(CodeForbidden, "the key is good for more than your credential")
		}
		return do(item)
	})
}

// minSuppliedKey is how long a key of somebody else's making must be, in
// characters, maxSuppliedKey how long it may be.
const (
	minSuppliedKey = minStaticKey
	maxSuppliedKey = 256
)

// suppliedKey returns the public id and the stored form of a key that was not
// made here: one in our own format, or any text that is long enough to be
// random. Errors never repeat it.
func suppliedKey(key string) (id, stored string, err error) {
	parsed, err := authn.ParseSecret(key)
	switch {
	case err == nil && parsed.Kind != authn.SecretAPIKey:
		return "", "", fmt.Errorf("it is a secret for something else (%s_…)", parsed.Kind)
	case err == nil:
		stored, err = authn.HashSecret(key)
		return parsed.ID, stored, err
	case !errors.Is(err, authn.ErrNotMine):
		return "", "", errors.New("it looks like one of our own and is broken")
	case len(key) < minSuppliedKey || len(key) > maxSuppliedKey:
		return "", "", fmt.Errorf("it has %d characters, want %d to %d", len(key), minSuppliedKey, maxSuppliedKey)
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", "", errors.New("want visible ASCII characters without spaces, as a header can carry them")
	}
	sum := sha256.Sum256([]byte(key))
	id = suppliedID(key)
	return id, "sha256:" + id + ":" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// suppliedID is the public id of a key that has none in it: it tells keys
// apart, and says of a key as much as a hash does.
func suppliedID(key string) string {
	sum := sha256.Sum256([]byte("registry_auth API key\x00" + key))
	const length = 12 // of all our ids
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:length]
}

// keyID returns the public id of a key of the API, and whether the secret is
// one: by its prefix or, if it was supplied, by its id being known.
func (m *Manager) keyID(secret string) (id string, known bool, err error) {
	parsed, err := authn.ParseSecret(secret)
	if !errors.Is(err, authn.ErrNotMine) {
		return parsed.ID, parsed.Kind == authn.SecretAPIKey, err
	}
	if len(secret) < minSuppliedKey || len(secret) > maxSuppliedKey {
		return "", false, nil
	}
	id = suppliedID(secret)
	_, known = m.state.APIKeys.Get(id)
	return id, known, nil
}

// keyRoutes are about keys of the API.
func (a *API) keyRoutes() []route {
	m := a.manager
	x := collection[Key]{
		path: "/keys", variable: "id", group: "keys", read: ScopeKeysRead, write: ScopeKeysWrite,
	}
	made := collection[KeyWithSecret]{
		path: "/keys", group: "keys", write: ScopeKeysWrite,
		name: func(k *KeyWithSecret) string { return k.ID },
	}
	return []route{
		x.list("listKeys", "The keys of this API, those of the configuration included.", m.Keys, CodeForbidden),
		creating(made, "createKey", "Makes a key, which is shown this once. It is good for no more than what you show, and ends no later. The first for * ends the one of bootstrap.",
			m.CreateKey, CodeForbidden, CodeExists, CodeConflict),
		x.get("getKey", "A key.", m.Key, CodeForbidden, CodeNotFound),
		{
			method: http.MethodPatch, path: "/keys/{id}", id: "changeKey", group: "keys", scope: ScopeKeysWrite,
			summary: "Disables a key, or enables it again.", body: of[KeyInput](), patch: true,
			status: http.StatusOK, result: of[Key](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				current, err := m.Key(c.who, c.path["id"])
				if err != nil {
					return nil, err
				}
				next, err := patched(c, KeyInput{Disabled: current.Disabled})
				if err != nil {
					return nil, err
				}
				k, err := m.ChangeKey(c.request.Context(), c.who, c.path["id"], next, c.match)
				return x.answer(k, false, err)
			},
		},
		x.remove("deleteKey", "Deletes a key. It ends at once.", m.DeleteKey, CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict),
	}
}
