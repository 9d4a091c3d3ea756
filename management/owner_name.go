package management

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// ownedID returns the id of the record of who owns a repository, "team-a/app",
// or a namespace, which people write with a slash at its end: "team-a/".
func ownedID(name string) (id string, ok bool) {
	if namespace, is := strings.CutSuffix(name, "/"); is {
		return state.OwnerID(authz.OwnedNamespace, namespace), authz.ValidName(namespace) && !strings.Contains(namespace, "/")
	}
	return state.OwnerID(authz.OwnedRepository, name), authz.ValidName(name)
}

// ownedName is what ownedID reads.
func ownedName(id string) string {
	kind, name, _ := strings.Cut(id, "/")
	if kind == authz.OwnedNamespace.String() {
		return name + "/"
	}
	return name
}
