package authz

import (
	"errors"
	"fmt"
	"strings"
)

// Built-in roles. Harbor's five follow the registry-relevant rows of its
// permission matrix (src/common/rbac/project/rbac_role.go):
//
//	Harbor                                  here
//	repository pull                         pull
//	repository push                         push, overwrite (Harbor moves
//	                                        tags by pushing; what must not
//	                                        move is made immutable)
//	repository delete (the DELETE of /v2)   delete
//	repository list and tag list            list
//	robot and member create/update/delete   manage
//
// By these rows a limited guest and a guest are the same here: they differ
// in Harbor's own robot, member, quota and configuration pages only.
//
// Apicurio Registry's three roles go by the names that it gives them in
// tokens, sr-admin, sr-developer and sr-readonly; its developer may delete,
// Harbor's may not.
var builtinRoles = map[string]Action{
	"limited_guest": Pull | List,
	"guest":         Pull | List,
	"developer":     Pull | Push | Overwrite | List,
	"maintainer":    Pull | Push | Overwrite | List | Delete,
	"project_admin": AllActions,
	"admin":         AllActions,

	"read_only":    Pull | List,
	"sr-admin":     AllActions,
	"sr-developer": Pull | Push | Overwrite | List | Delete,
	"sr-readonly":  Pull | List,
}

// roles are all roles of a policy by name.
type roles map[string]Action

// compileRoles adds a configuration's own roles to the built-in ones.
func compileRoles(custom []Role) (roles, error) {
	all := make(roles, len(builtinRoles)+len(custom))
	for name, actions := range builtinRoles {
		all[name] = actions
	}
	var errs []error
	for _, r := range custom {
		if err := all.add(r); err != nil {
			errs = append(errs, at(r.Source, err))
		}
	}
	return all, errors.Join(errs...)
}

func (all roles) add(r Role) error {
	if r.Name == "" || strings.ContainsAny(r.Name, ": \t\n") {
		return fmt.Errorf("role name %q: want a word without colon or space", r.Name)
	}
	if _, ok := builtinRoles[r.Name]; ok {
		return fmt.Errorf("role %q is built in and cannot be redefined", r.Name)
	}
	if _, ok := all[r.Name]; ok {
		return fmt.Errorf("role %q is defined twice", r.Name)
	}
	actions, err := parseActions(r.Actions)
	if err != nil {
		return fmt.Errorf("role %q: %w", r.Name, err)
	}
	// Entered even if it is empty, so that its uses are not errors as well.
	all[r.Name] = actions
	if actions == 0 {
		return fmt.Errorf("role %q grants nothing: name its actions", r.Name)
	}
	return nil
}

// find returns the actions of a role.
func (all roles) find(name string) (Action, error) {
	if actions, ok := all[name]; ok {
		return actions, nil
	}
	return 0, unknown("role", name, keys(all))
}

// parseActions returns the set of named actions.
func parseActions(names []string) (Action, error) {
	var set Action
	for _, name := range names {
		a, err := ParseAction(name)
		if err != nil {
			return 0, unknown("action", name, append(AllActions.Names(), "*"))
		}
		set |= a
	}
	return set, nil
}
