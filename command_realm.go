package registryauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// realmOf returns the configuration of the realm of a name, or of the only
// one, out of a whole Caddy configuration.
func realmOf(adapted []byte, name string) (*caddyfile.Config, error) {
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(adapted))
	decoder.UseNumber() // a duration has more digits than a float64 keeps
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("not JSON: %w; if it is none, name its adapter with --adapter", err)
	}
	configs, err := findRealms(tree)
	if err != nil {
		return nil, err
	}
	return pickRealm(configs, name)
}

// findRealms returns the configuration of every registry_auth handler below a
// node of a Caddy configuration, in whatever handler it is nested.
func findRealms(node any) ([]*caddyfile.Config, error) {
	var found []*caddyfile.Config
	var below []any
	switch node := node.(type) {
	case []any:
		below = node
	case map[string]any:
		if node["handler"] == "registry_auth" {
			config, err := decodeRealm(node)
			return []*caddyfile.Config{config}, err
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			below = append(below, node[key])
		}
	}
	for _, n := range below {
		configs, err := findRealms(n)
		if err != nil {
			return nil, err
		}
		found = append(found, configs...)
	}
	return found, nil
}

// decodeRealm is as strict as Caddy is when it loads a handler.
func decodeRealm(handler map[string]any) (*caddyfile.Config, error) {
	delete(handler, "handler")
	data, err := json.Marshal(handler)
	if err != nil {
		return nil, err
	}
	config := new(caddyfile.Config)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(config); err != nil {
		return nil, fmt.Errorf("registry_auth: %w", err)
	}
	if config.Realm == "" {
		config.Realm = "default"
	}
	return config, nil
}

// pickRealm returns the realm of a name, or the only one. Several sites may
// share a realm, with the same configuration.
func pickRealm(configs []*caddyfile.Config, name string) (*caddyfile.Config, error) {
	byName := map[string]*caddyfile.Config{}
	for _, config := range configs {
		other, twice := byName[config.Realm]
		if !twice {
			byName[config.Realm] = config
			continue
		}
		mine, err := caddyfile.Fingerprint(*config)
		if err != nil {
			return nil, err
		}
		if its, err := caddyfile.Fingerprint(*other); err != nil || !bytes.Equal(mine, its) {
			return nil, errors.Join(err, fmt.Errorf("two registry_auth handlers have the realm %q and differ: give one of them another name with `realm`", config.Realm))
		}
	}
	names := slices.Sorted(maps.Keys(byName))
	config, ok := byName[name]
	switch {
	case len(names) == 0:
		return nil, errors.New("there is no registry_auth handler")
	case ok:
		return config, nil
	case name == "" && len(names) == 1:
		return byName[names[0]], nil
	case name == "":
		return nil, fmt.Errorf("there are several realms: choose with --realm one of %s", strings.Join(names, ", "))
	}
	return nil, unknownWord("realm", name, names)
}

// unknownWord is the error for a word that is none of those known.
func unknownWord(what, word string, known []string) error {
	return authz.UnknownWord(what, word, known)
}
