package management

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// forgetName adds to a change that what a robot's name was given goes with the
// robot: memberships, its role, and what it owns. The next robot of that name is
// another one. What the change is about already is left as the change has it.
func (m *Manager) forgetName(tx *state.Tx, who *Caller, p *authn.Principal, already map[state.Object]bool) {
	subject := p.String()
	about := func(o state.Object) bool { return already[state.Object{Kind: o.Kind, ID: o.ID}] }
	for _, item := range m.state.Projects.Sorted() {
		kept, found := without(item.Value.Members, subject)
		if !found || about(projectObject(item.ID)) {
			continue
		}
		next := *item.Value
		next.Members = kept
		state.Put(tx, m.state.Projects, item.ID, &next, state.Unchanged(item))
		tx.Note(who.Actor(), "project.member", projectObject(item.ID), projectView(item.Value), projectView(&next))
	}
	if item, ok := m.state.RoleMappings.Get(subject); ok && !about(mappingObject(item.ID)) {
		state.Delete(tx, m.state.RoleMappings, item.ID, state.Unchanged(item))
		tx.Note(who.Actor(), "role_mapping.delete", mappingObject(item.ID), showMapping(item), nil)
	}
	for item := range m.state.Owners.All() {
		if ownedBy(item.Value, p) && !about(state.Object{Kind: m.state.Owners.Kind(), ID: item.ID}) {
			state.Delete(tx, m.state.Owners, item.ID, state.Unchanged(item))
			tx.Note(who.Actor(), "owner.delete", ownerObject(ownedName(item.ID)), showOwner(item), nil)
		}
	}
}

// handedRobot is what whoever has a robot's secret has.
func handedRobot(r *state.Robot) handed {
	return handed{robot: r.Name, permissions: r.Permissions, from: r.From, expires: r.Expires}
}

// ownsSomething reports whether a principal owns what only its owner may change,
// or what its creator has rights in.
func (m *Manager) ownsSomething(p *authn.Principal) bool {
	for item := range m.state.Owners.All() {
		kind, name, _ := strings.Cut(item.ID, "/")
		if by, err := authz.ParseOwnedBy(kind); err == nil && ownedBy(item.Value, p) && m.policy().OwnersMatter(by, name) {
			return true
		}
	}
	return false
}

// ownedBy reports whether a record is that of a principal.
func ownedBy(o *state.Owner, p *authn.Principal) bool {
	return o.Identity == p.Identity().ID() || o.Identity == "" && o.Principal == p.String()
}

func robotPrincipal(name string) *authn.Principal {
	return &authn.Principal{Kind: authn.KindRobot, Name: name}
}
