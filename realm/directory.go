package realm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// directory knows the realms of one configuration by name.
type directory struct {
	mu     sync.Mutex
	realms map[string]*Realm
	wanted []string // names that other modules refer to
	// mentioned are subjects that other modules give something, by realm.
	mentioned map[string][]string
}

func newDirectory() *directory {
	return &directory{realms: make(map[string]*Realm), mentioned: make(map[string][]string)}
}

// mention notes subjects to whom a module gives something by way of a realm.
func (d *directory) mention(realm string, subjects ...[]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mentioned[realm] = append(d.mentioned[realm], slices.Concat(subjects...)...)
}

// mentions returns the subjects that modules give something, by way of a realm.
func (d *directory) mentions(realm string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Concat(d.mentioned[realm], d.mentioned[""])
}

// all returns the realms.
func (d *directory) all() []*Realm {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.realms))
}

// check reports references to realms that nobody has declared.
func (d *directory) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, name := range d.wanted {
		if _, err := d.find(name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// register adds a realm. The same site may be routed in several places, and
// then the same realm is declared again; two different ones need two names.
func (d *directory) register(r *Realm) (*Realm, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.realms[r.name]
	if !ok {
		d.realms[r.name] = r
		return r, nil
	}
	if !bytes.Equal(known.fingerprint, r.fingerprint) {
		return nil, fmt.Errorf("realm %q is declared twice with different settings: give each registry_auth a name of its own with `realm <name>`", r.name)
	}
	return known, nil
}

// want notes that a module refers to a realm, which may be declared later;
// Start fails if it never is.
func (d *directory) want(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = append(d.wanted, name)
}

// realm returns the realm of that name; an empty name means the only one.
func (d *directory) realm(name string) (*Realm, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(name)
}

func (d *directory) find(name string) (*Realm, error) {
	if r, ok := d.realms[name]; ok {
		return r, nil
	}
	if name == "" && len(d.realms) == 1 {
		for _, r := range d.realms {
			return r, nil
		}
	}
	names := make([]string, 0, len(d.realms))
	for n := range d.realms {
		names = append(names, n)
	}
	if name == "" {
		return nil, fmt.Errorf("name one of the realms %q", names)
	}
	return nil, fmt.Errorf("no registry_auth declares realm %q, there is %q", name, names)
}
