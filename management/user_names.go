package management

import (
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// onName returns what hangs on the name of a user and not on who that is: stored
// role mappings, memberships of stored projects, and owners of whom only the name
// is known.
func (m *Manager) onName(name string) []string {
	subject := "user:" + name
	var found []string
	for item := range m.state.RoleMappings.All() {
		if item.Value.Principal == subject || item.Value.Principal == name {
			found = append(found, "role "+item.Value.Role)
		}
	}
	for item := range m.state.Projects.All() {
		for _, member := range item.Value.Members {
			if slices.Contains(member.Subjects, subject) {
				found = append(found, "member of project "+item.Value.Name)
				break
			}
		}
	}
	for item := range m.state.Owners.All() {
		if item.Value.Identity == "" && item.Value.Principal == subject {
			found = append(found, "owner of "+ownedName(item.ID))
		}
	}
	slices.Sort(found)
	return found
}

// ownedBefore returns the repositories and namespaces that somebody of this
// identity owned who has vanished since.
func (m *Manager) ownedBefore(id string) []string {
	var found []string
	for item := range m.state.Owners.All() {
		if item.Value.Identity == state.FormerIdentity(id) {
			found = append(found, ownedName(item.ID))
		}
	}
	slices.Sort(found)
	return found
}
