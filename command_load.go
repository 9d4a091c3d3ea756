package registryauth

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
