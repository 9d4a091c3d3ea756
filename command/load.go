package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// realmFlags say which realm of which configuration a command is about.
type realmFlags struct {
	config, adapter, realm string
	stored                 storedFlags
}

func (f *realmFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "Caddyfile", "Configuration file, - for standard input")
	cmd.Flags().StringVarP(&f.adapter, "adapter", "a", "", "Name of the config adapter (default: caddyfile, none for JSON)")
	cmd.Flags().StringVarP(&f.realm, "realm", "r", "", "Name of the realm, if there are several")
	f.stored.add(cmd)
}

// loadedRealm is what the commands know of a realm: how it is configured and
// its policy. Nothing is provisioned: no secret is resolved, no key made, no
// identity provider asked.
type loadedRealm struct {
	config *caddyfile.Config
	policy *authz.Policy
	robots robotList
	stored *storedRules
}

// load reads the configuration and compiles the policy of its realm.
func (f *realmFlags) load(stdin io.Reader) (*loadedRealm, error) {
	adapted, err := f.adapt(stdin)
	if err != nil {
		return nil, err
	}
	config, err := realmOf(adapted, f.realm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.config, err)
	}
	if _, err := authz.Compile(config.Policy); err != nil {
		return nil, fmt.Errorf("%s: policy: %w", f.config, err)
	}
	stored, err := f.stored.load(config)
	if err != nil {
		return nil, err
	}
	policy, err := authz.Compile(stored.records.Add(config.Policy))
	if err != nil {
		return nil, fmt.Errorf("%s: policy: %w", f.stored.file, err)
	}
	robots, err := findRobots(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.config, err)
	}
	return &loadedRealm{config, policy.With(stored), robots, stored}, nil
}

// adapt returns the configuration as JSON. Warnings are left to `caddy adapt`
// and `caddy validate`: they are about style, here the answer is what counts.
func (f *realmFlags) adapt(stdin io.Reader) ([]byte, error) {
	var data []byte
	var err error
	if f.config == "-" {
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(f.config)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	name := f.adapter
	if name == "" {
		// No Caddyfile is valid JSON; a *.json that is not is no Caddyfile.
		if json.Valid(data) || strings.EqualFold(filepath.Ext(f.config), ".json") {
			return data, nil
		}
		name = "caddyfile"
	}
	adapter := caddyconfig.GetAdapter(name)
	if adapter == nil {
		return nil, fmt.Errorf("unknown config adapter %q", name)
	}
	adapted, _, err := adapter.Adapt(data, map[string]any{"filename": f.config})
	if err != nil {
		return nil, fmt.Errorf("adapting %s: %w", f.config, err)
	}
	return adapted, nil
}

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
