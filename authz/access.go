package authz

import (
	"net/http"
	"strings"
)

// The types of resources in scopes, and the one name that the type
// "registry" has.
const (
	TypeRepository = "repository"
	TypeRegistry   = "registry"
	CatalogName    = "catalog"
)

// Access is actions on a resource, as the Docker token specification has
// them in scopes and in tokens.
type Access struct {
	// Type is TypeRepository or TypeRegistry.
	Type string

	// Name is the name of the repository, or CatalogName.
	Name string

	// Actions are the actions asked for, or granted. It may be none.
	Actions Action
}

// String returns the access as a scope, "repository:team/app:pull,push".
// Only actions that clients know are shown, see ScopeActions.
func (a Access) String() string {
	return a.Type + ":" + a.Name + ":" + strings.Join(a.ScopeActions(), ",")
}

// scopeActions has the words for every set of pull, push and delete.
var scopeActions = [...][]string{
	{},
	{"pull"},
	{"push"},
	{"pull", "push"},
	{"delete"},
	{"pull", "delete"},
	{"push", "delete"},
	{"pull", "push", "delete"},
}

var anyAction = []string{"*"}

// ScopeActions returns the actions in the vocabulary of scopes and of the
// "access" claim: pull, push and delete on a repository, "*" on the registry
// as soon as there is any. List, overwrite and manage have no word there.
// The slice is shared; do not change it.
func (a Access) ScopeActions() []string {
	if a.Type == TypeRegistry && a.Actions != 0 {
		return anyAction
	}
	return scopeActions[a.Actions&(Pull|Push|Delete)]
}

// Action returns the one action that the request needs on its target: pull,
// push, delete or list; for an extension, what is configured. It is none for
// the base, which is open to whoever is somebody. Overwrite is not known
// here: it depends on what the registry holds.
func (r *Request) Action() Action {
	switch r.Route {
	case RouteCatalog, RouteTags:
		return List
	case RouteUploads, RouteUpload: // to ask after or to cancel an upload is part of it
		return Push
	case RouteExtension:
		return r.extension.action
	case RouteManifest, RouteBlob, RouteReferrers:
		switch {
		case !r.Write():
			return Pull
		case r.Method == http.MethodDelete:
			return Delete
		}
		return Push
	}
	return 0
}

// Target returns what a client's token has to hold for the request, in the
// vocabulary of scopes: pull for all that reads, pull and push for what
// pushes, as clients expect. It is the zero Access for the base.
func (r *Request) Target() Access {
	action := r.Action()
	switch {
	case r.Route == RouteBase:
		return Access{}
	case r.Repository == "":
		return Access{Type: TypeRegistry, Name: CatalogName, Actions: AllActions}
	case action == List:
		action = Pull
	case action == Push:
		action |= Pull
	}
	return Access{Type: TypeRepository, Name: r.Repository, Actions: action}
}

// Source returns the pull that a cross-repository mount needs beside its
// target; false if the request is none.
func (r *Request) Source() (Access, bool) {
	if r.From == "" {
		return Access{}, false
	}
	return Access{Type: TypeRepository, Name: r.From, Actions: Pull}, true
}

// Accesses returns target and source, for a challenge. It is empty for the
// base.
func (r *Request) Accesses() []Access {
	if r.Route == RouteBase {
		return nil
	}
	list := []Access{r.Target()}
	if source, ok := r.Source(); ok {
		list = append(list, source)
	}
	return list
}
