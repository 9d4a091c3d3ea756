package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// storedFlags say what is kept at run time, which no configuration knows.
type storedFlags struct {
	file     string
	mappings []string
}

func (f *storedFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "stored", "", "File with what is managed at run time, as GET …/export gives it")
	cmd.Flags().StringSliceVar(&f.mappings, "mapping", nil, "Stored role mapping, as user:alice=developer")
}

// storedRules are what is kept at run time, as far as it was said.
type storedRules struct {
	records management.Records
	state   *state.State                // nil: nothing was said
	owners  map[string]*authz.Ownership // by [state.OwnerID]
}

// load reads what is stored into memory, checked as an import is.
func (f *storedFlags) load(config *caddyfile.Config) (*storedRules, error) {
	d := &management.Document{Version: 1}
	if f.file == "" && len(f.mappings) == 0 {
		return new(storedRules), nil
	}
	if f.file != "" {
		data, err := os.ReadFile(f.file)
		if err != nil {
			return nil, fmt.Errorf("stored: %w", err)
		}
		if d, err = management.ParseDocument(data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
		// Keys of the API decide nothing here, and exports lack their hashes.
		d.APIKeys = nil
	}
	for _, text := range f.mappings {
		// A claim has an equals sign of its own: the role is behind the last.
		i := strings.LastIndexByte(text, '=')
		if i <= 0 {
			return nil, fmt.Errorf("mapping %q: want for example user:alice=developer", text)
		}
		d.RoleMappings = append(d.RoleMappings, management.NewRoleMapping{
			Principal: text[:i], RoleMappingInput: management.RoleMappingInput{Role: text[i+1:]},
		})
	}
	return readStored(config, d)
}

// takeOwners takes the owners out of a document: an import wants to have seen
// them sign in, and who is locked out is not the policy's to say.
func takeOwners(d *management.Document) (map[string]*authz.Ownership, error) {
	owners := map[string]*authz.Ownership{}
	for _, o := range d.Owners {
		owner, err := ownership(o.Principal, false)
		if err != nil {
			return nil, fmt.Errorf("owners: %s: %w", o.Repository, err)
		}
		by, name := authz.OwnedRepository, o.Repository
		if namespace, ok := strings.CutSuffix(name, "/"); ok {
			by, name = authz.OwnedNamespace, namespace
		}
		owners[state.OwnerID(by, name)] = owner
	}
	d.Owners, d.LockedOut = nil, nil
	return owners, nil
}

func readStored(config *caddyfile.Config, d *management.Document) (*storedRules, error) {
	owners, err := takeOwners(d)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	live, err := state.Open(ctx, memstore.New(), config.Realm, state.Options{})
	if err != nil {
		return nil, err
	}
	live.Close() // nobody else changes it: there is nothing to follow
	policy, err := authz.Compile(config.Policy)
	if err != nil {
		return nil, err
	}
	declared := management.Declared{Roles: config.Policy.Roles}
	for _, p := range config.Policy.Projects {
		declared.Projects = append(declared.Projects, management.DeclaredProject{Project: p})
	}
	robots, err := findRobots(config)
	if err != nil {
		return nil, err
	}
	for _, robot := range robots { // which supersede stored ones
		declared.Robots = append(declared.Robots, management.DeclaredRobot{RobotConfig: robot})
	}
	m, err := management.New(management.Options{
		State: live, Policy: func() *authz.Policy { return policy }, Declared: declared,
	})
	if err != nil {
		return nil, err
	}
	if _, err := m.Import(ctx, management.Local("command", "explain"), d, management.ImportOptions{}); err != nil {
		return nil, fmt.Errorf("stored: %w", err)
	}
	records := management.PolicyRecords(live, config.Policy, management.Config{NoRoleMappings: !config.Policy.HasRoleSource("application")})
	var errs []error
	for _, problem := range records.Problems {
		errs = append(errs, problem)
	}
	return &storedRules{records, live, owners}, errors.Join(errs...)
}

// Permissions implements [authz.Facts].
func (s *storedRules) Permissions(p *authn.Principal) *authz.Permissions {
	if s.state == nil {
		return nil
	}
	return s.state.Permissions(p)
}

// Owner implements [authz.Facts].
func (s *storedRules) Owner(by authz.OwnedBy, name string) *authz.Ownership {
	return s.owners[state.OwnerID(by, name)]
}

// saidOwner are the stored rules with an owner that was said for one question.
type saidOwner struct {
	*storedRules
	owner *authz.Ownership
}

func (s saidOwner) Owner(authz.OwnedBy, string) *authz.Ownership { return s.owner }

// noOwner is the word for a repository that nobody owns.
const noOwner = "none"

// ownership reads who owns something; nil if that is nobody.
func ownership(text string, created bool) (*authz.Ownership, error) {
	if text == "" || text == noOwner {
		return nil, nil
	}
	p, err := newPrincipal(text, nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("owner: %w", err)
	}
	return &authz.Ownership{Principal: p.String(), Created: created}, nil
}

// about returns the policy for a question, with the owner that was said.
func (r *loadedRealm) about(s registryState) *authz.Policy {
	if s.owner == "" {
		return r.policy
	}
	owner, _ := ownership(s.owner, s.created) // checked by apply
	return r.policy.With(saidOwner{r.stored, owner})
}

// unknownNote says what decides and is known at run time only.
func (r *loadedRealm) unknownNote(q *authz.Query, s registryState, d *authz.Decision) string {
	if r.stored.state != nil || q.Type == authz.TypeRegistry {
		return ""
	}
	by, creator := r.policy.Owned(q.Repository)
	owned := len(by) > 0 && q.Action&(authz.Push|authz.Overwrite|authz.Delete) != 0
	switch {
	case s.owner == "" && owned && (d.Allowed || creator):
		return "who owns " + q.Repository + " is known at run time only: say it with --owner; without, nobody does"
	case !d.Allowed && d.Rule == nil:
		return "projects, role mappings and robots that are stored are not known here: see --stored and --mapping"
	}
	return ""
}
