package migrate

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// dockerAuth is the configuration file of cesanta/docker_auth, as far as it is
// about users and rights (docs/Backends and examples/reference.yml there).
type dockerAuth struct {
	Users map[string]*dockerUser `yaml:"users"`
	ACL   []aclEntry             `yaml:"acl"`
	Other map[string]yaml.Node   `yaml:",inline"`
}

type dockerUser struct {
	Password *string             `yaml:"password"`
	Labels   map[string][]string `yaml:"labels"`
}

// elsewhere says where in a Caddyfile the rest of the file belongs.
var elsewhere = map[string]string{ //nolint:gosec // no credentials, but where they belong
	"server":       "addresses and certificates are Caddy's",
	"token":        "say `issuer` and `lifetime` in the token block of registry_auth",
	"ldap_auth":    "say `ldap` in registry_auth",
	"google_auth":  "say `oidc https://accounts.google.com` in registry_auth",
	"oidc_auth":    "say `oidc` in registry_auth",
	"gitlab_auth":  "say `oidc` in registry_auth",
	"github_auth":  "people of GitHub need an identity provider that knows them",
	"ext_auth":     "say `external` in registry_auth",
	"plugin_authn": "say `external` in registry_auth",
}

// people are the sections with accounts that are not in the file.
var people = []string{"ldap_auth", "google_auth", "oidc_auth", "gitlab_auth", "github_auth", "ext_auth", "plugin_authn", "mongo_auth", "xorm_auth"}

// DockerAuth makes robots of the users of a docker_auth configuration, which
// go on logging in with the same name and password, with what its access list
// lets each do. There the first entry counts that matches; here permissions
// add up: so what an entry gives is only carried over where no entry before it
// could have given less.
func DockerAuth(text []byte) (*Result, error) {
	var config dockerAuth
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("want a configuration of docker_auth: %w", err)
	}
	if config.Users == nil && config.ACL == nil {
		return nil, fmt.Errorf("there are neither users nor an acl: is it a configuration of docker_auth?")
	}
	r := newResult()
	for _, name := range slices.Sorted(maps.Keys(config.Other)) {
		why, known := elsewhere[name]
		if !known {
			why = "there is nothing to carry it over to"
		}
		r.lose("%s: %s", name, why)
	}
	for _, name := range slices.Sorted(maps.Keys(config.Users)) {
		if robot := r.dockerRobot(name, config.Users[name]); robot != nil {
			robot.Permissions = r.rights(name, config.ACL)
			r.Document.Robots = append(r.Document.Robots, *robot)
		}
	}
	outside := slices.ContainsFunc(people, func(section string) bool { _, ok := config.Other[section]; return ok })
	for i := range config.ACL {
		r.othersOf(i, &config.ACL[i], config.Users, outside)
	}
	return r, nil
}

// dockerRobot makes a robot of a user.
func (r *Result) dockerRobot(name string, u *dockerUser) *management.DocumentRobot {
	switch {
	case name == "":
		return nil // who has not logged in: see othersOf
	case u == nil || u.Password == nil:
		r.lose("user %s: it has no password", name)
		return nil
	}
	return r.robot(name, *u.Password)
}

// othersOf says what an entry gives those who are none of the users.
func (r *Result) othersOf(i int, e *aclEntry, users map[string]*dockerUser, outside bool) {
	if len(e.Actions) == 0 {
		return
	}
	account := e.Match.Account
	switch {
	case account == nil:
		if _, anonymous := users[""]; anonymous {
			r.lose("%s: it is for who has not logged in, too: say so in the Caddyfile, for `anyone`", e.name(i))
		}
		if outside {
			r.lose("%s: it is for accounts that are not in this file, too: give them a role", e.name(i))
		}
	case *account == "":
		r.lose("%s: it is for who has not logged in: say so in the Caddyfile, for `anyone`", e.name(i))
	case isPattern(*account):
		if outside {
			r.lose("%s: it is for accounts that are not in this file, too: give them a role", e.name(i))
		}
	case users[*account] == nil:
		r.lose("%s: account %s is not in this file: give it a role, with role set user:%s", e.name(i), *account, *account)
	}
}

// rights returns what an account may do.
func (r *Result) rights(account string, acl []aclEntry) []management.Permission {
	var out []management.Permission
	var before []given
	catalog := false // the first entry about it counts
	for i := range acl {
		e := &acl[i]
		if !matches(e.Match.Account, account, account) {
			continue
		}
		condition := e.condition()
		if condition != "" {
			r.lose("%s: it depends on %s", e.name(i), condition)
		}
		if !catalog && e.isCatalog(account) {
			catalog = true
			if condition == "" && slices.Contains(e.Actions, "*") {
				out = append(out, management.Permission{Type: authz.TypeRegistry, Name: authz.CatalogName, Actions: []string{"*"}})
			}
		}
		if !matches(e.Match.Type, authz.TypeRepository, account) {
			continue
		}
		g := given{entry: i, pattern: "**", actions: e.actions(), certain: condition == ""}
		if e.Match.Name != nil {
			pattern, ok := ourPattern(*e.Match.Name, account)
			if !ok {
				r.lose("%s: the name %q is no pattern of ours", e.name(i), *e.Match.Name)
				g.certain = false
			} else {
				g.pattern = pattern
			}
		}
		if actions := r.left(account, g, before, acl); g.certain && len(actions) > 0 {
			out = append(out, management.Permission{Type: authz.TypeRepository, Name: g.pattern, Actions: actions})
		}
		before = append(before, g)
	}
	return out
}

// given is what an entry gives an account. If it is not certain, it may be on
// less than the pattern, or at times.
type given struct {
	entry   int
	pattern string
	actions []string
	certain bool
}

// left returns what of an entry is certain, after those before it.
func (r *Result) left(account string, g given, before []given, acl []aclEntry) []string {
	actions := slices.Clone(g.actions)
	for _, b := range before {
		if b.certain && authz.Within(g.pattern, b.pattern) {
			return nil // it is never reached
		}
	}
	for _, b := range before {
		if !authz.Meet(g.pattern, b.pattern) {
			continue
		}
		var lost []string
		actions = slices.DeleteFunc(actions, func(a string) bool {
			if slices.Contains(b.actions, a) {
				return false
			}
			lost = append(lost, a)
			return true
		})
		if g.certain && len(lost) > 0 {
			r.lose("user %s: %v on %s (%s): %s comes first and may refuse it on some of these", account, lost, g.pattern, acl[g.entry].name(g.entry), acl[b.entry].name(b.entry))
		}
	}
	return actions
}
