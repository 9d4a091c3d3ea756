package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Robot is a stored robot. Its id is its name.
type Robot struct {
	// Name with the project, if it belongs to one: "ci", "team-a+ci".
	Name string `json:"name"`
	// Number is what Harbor's calls know it by. It never changes.
	Number      int64  `json:"number,omitempty"`
	Description string `json:"description,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`

	// Expires is when the robot stops to be accepted; zero: never.
	Expires time.Time `json:"expires,omitzero"`

	// From are the networks it is accepted from; none: from anywhere.
	From []string `json:"from,omitempty"`

	// Permissions are what it may do, in the vocabulary of registry tokens.
	Permissions []authn.Limit `json:"permissions,omitempty"`

	// Harbor are the permissions as one of Harbor's calls gave them, for its
	// other calls to show as long as they mean the same.
	Harbor json.RawMessage `json:"harbor,omitempty"`

	// Secrets are the stored forms of what it logs in with.
	Secrets []RobotSecret `json:"secrets"`

	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	Updated   time.Time `json:"updated"`

	entry *robotEntry // what logs in with it, if it compiles
}

// prepare compiles the robot. What was checked when it was written compiles;
// if it does not in this version, it is better that nobody logs in with it.
func (r *Robot) prepare() {
	r.Secrets, r.Permissions = trimmed(r.Secrets), trimmed(r.Permissions)
	for i := range r.Permissions {
		r.Permissions[i].Actions = trimmed(r.Permissions[i].Actions)
	}
	if account, permissions, err := r.Compile(); err == nil {
		r.entry = &robotEntry{account, permissions}
	}
}

// trimmed is a list without the room that decoding has left at its end.
func trimmed[T any](list []T) []T {
	if len(list) == cap(list) {
		return list
	}
	return append(make([]T, 0, len(list)), list...)
}

// RobotSecret is one of a robot's secrets.
type RobotSecret struct {
	Hash    string    `json:"hash"`
	Created time.Time `json:"created"`
	// Until is when it stops to be good, if it was replaced; zero: no end.
	Until time.Time `json:"until,omitzero"`
}

// Project returns the project that a robot belongs to, "" for a robot of the
// whole registry.
func (r *Robot) Project() string {
	project, _, found := strings.Cut(r.Name, "+")
	if !found {
		return ""
	}
	return project
}

// Compile checks a robot and makes what logs in with it.
func (r *Robot) Compile() (*authn.Robot, *authz.Permissions, error) {
	config := authn.RobotConfig{Name: r.Name, Disabled: r.Disabled, From: r.From}
	if !r.Expires.IsZero() {
		config.Expires = r.Expires.Format(time.RFC3339)
	}
	for _, s := range r.Secrets {
		config.SecretHashes = append(config.SecretHashes, s.Hash)
	}
	account, err := authn.NewRobot(config)
	if err != nil {
		return nil, nil, err
	}
	if cost := authn.HashCost(account.SlowHashes()); cost > authn.MaxStoredRobotCost {
		return nil, nil, fmt.Errorf("robot %s: secret_hash: all hashes together take about %.1f s for each wrong password, more than %.1f s: use fewer, a lower cost, or a secret of ours", r.Name, cost/1000, authn.MaxStoredRobotCost/1000.)
	}
	for i, s := range r.Secrets {
		if !s.Until.IsZero() {
			account.EndSecret(i, s.Until)
		}
	}
	permissions, err := authz.NewPermissions("robot:"+r.Name, r.Permissions)
	if err != nil {
		return nil, nil, err
	}
	return account, permissions, nil
}

// robotIndex finds robots by what requests have of them. What a robot is stands
// in byName alone, and is replaced in one step; bySecret says whose a secret may
// be.
type robotIndex struct {
	byName   *livemap[string, *robotEntry]
	bySecret *livemap[string, string] // names
	slow     slowRobots
}

type robotEntry struct {
	account     *authn.Robot
	permissions *authz.Permissions
}

func (e *robotEntry) secretIDs() []string {
	if e == nil {
		return nil
	}
	return e.account.SecretIDs()
}

func (x *robotIndex) follow(t *Table[Robot], filled *atomic.Bool) {
	x.byName, x.bySecret = newLivemap[string, *robotEntry](filled, itself), newLivemap[string, string](filled, itself)
	t.onChange(func(before, after *Item[Robot]) {
		var old, next *robotEntry
		var name string
		if before != nil {
			name, old = before.ID, before.Value.entry
		}
		if after != nil {
			name, next = after.ID, after.Value.entry
		}
		now := next.secretIDs()
		for _, id := range now {
			x.bySecret.set(id, name)
		}
		if next != nil {
			x.byName.set(name, next)
			x.slow.set(name, next.account.SlowHashes())
		} else {
			x.byName.remove(name)
			x.slow.set(name, nil)
		}
		for _, id := range old.secretIDs() {
			if of, _ := x.bySecret.get(id); of == name && !slices.Contains(now, id) {
				x.bySecret.remove(id)
			}
		}
	})
}

// RobotByName implements [authn.RobotDirectory].
func (s *State) RobotByName(name string) *authn.Robot {
	if e, ok := s.robots.byName.get(name); ok {
		return e.account
	}
	return nil
}

// RobotBySecret implements [authn.RobotDirectory].
func (s *State) RobotBySecret(id string) *authn.Robot {
	name, ok := s.robots.bySecret.get(id)
	if !ok {
		return nil
	}
	return s.RobotByName(name)
}

// SlowHashes implements [authn.RobotDirectory].
func (s *State) SlowHashes() [][]authn.Hash { return s.robots.slow.all() }

// slowRobots are the robots of now that have slow hashes. The zero value has
// none.
type slowRobots struct {
	mu     sync.Mutex
	byName map[string][]authn.Hash
	list   atomic.Pointer[[][]authn.Hash] // nil: to be made when it is asked for
}

func (x *slowRobots) set(name string, hashes []authn.Hash) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.byName[name]; !known && len(hashes) == 0 {
		return
	}
	if x.byName == nil {
		x.byName = map[string][]authn.Hash{}
	}
	if x.byName[name] = hashes; len(hashes) == 0 {
		delete(x.byName, name)
	}
	x.list.Store(nil)
}

// all returns the hashes in the order of the robots' names.
func (x *slowRobots) all() [][]authn.Hash {
	if list := x.list.Load(); list != nil {
		return *list
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([][]authn.Hash, 0, len(x.byName))
	for _, name := range slices.Sorted(maps.Keys(x.byName)) {
		list = append(list, x.byName[name])
	}
	x.list.Store(&list)
	return list
}

// Permissions implements [authz.Facts]: what a stored robot may do.
func (s *State) Permissions(p *authn.Principal) *authz.Permissions {
	if p.Kind != authn.KindRobot {
		return nil
	}
	if e, ok := s.robots.byName.get(p.Name); ok {
		return e.permissions
	}
	return nil
}
