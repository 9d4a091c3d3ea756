package management

import (
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Export returns everything that is stored and managed, but secrets and their
// hashes, and what ends by itself: sessions and access tokens. What the
// configuration declares is not part of it.
func (m *Manager) Export(who *Caller) (*Document, error) {
	if err := m.needsAdmin(who, ScopeAll); err != nil {
		return nil, err
	}
	d := m.current()
	for i := range d.Robots {
		d.Robots[i].SecretHashes = nil
	}
	for i := range d.APIKeys {
		d.APIKeys[i].Hash = ""
	}
	return d, nil
}

// current is the document of what is stored, with hashes. All lists are there.
func (m *Manager) current() *Document {
	on := false
	d := &Document{
		Version: documentVersion, ReadOnly: &on, ReadOnlyProjects: []string{}, Projects: []NewProject{}, RoleMappings: []NewRoleMapping{},
		Robots: []DocumentRobot{}, APIKeys: []DocumentKey{}, Owners: []DocumentOwner{}, LockedOut: []DocumentUser{},
	}
	for _, i := range m.state.Settings.Sorted() {
		if i.ID == state.SettingReadOnly {
			on = i.Value.On
		} else if name, ok := strings.CutPrefix(i.ID, projectSwitch("")); ok && i.Value.On {
			d.ReadOnlyProjects = append(d.ReadOnlyProjects, name)
		}
	}
	for _, i := range m.state.Projects.Sorted() {
		d.Projects = append(d.Projects, NewProject{Name: i.ID, ProjectInput: showProject(i).ProjectInput})
	}
	for _, i := range m.state.RoleMappings.Sorted() {
		d.RoleMappings = append(d.RoleMappings, NewRoleMapping{Principal: i.ID, RoleMappingInput: showMapping(i).RoleMappingInput})
	}
	for _, i := range m.state.Robots.Sorted() {
		d.Robots = append(d.Robots, robotDocument(i.Value))
	}
	for _, i := range m.state.APIKeys.Sorted() {
		if !i.Value.Bootstrap {
			d.APIKeys = append(d.APIKeys, keyDocument(i.ID, i.Value))
		}
	}
	for _, i := range m.state.Owners.Sorted() {
		if !i.Value.Pending {
			d.Owners = append(d.Owners, DocumentOwner{Repository: ownedName(i.ID), OwnerInput: OwnerInput{Principal: i.Value.Principal, Identity: i.Value.Identity}})
		}
	}
	for _, i := range m.state.Users.Sorted() {
		if i.Value.Disabled {
			d.LockedOut = append(d.LockedOut, DocumentUser{Issuer: i.Value.Issuer, Subject: i.Value.Subject, Name: i.Value.Name})
		}
	}
	return d
}

func robotDocument(r *state.Robot) DocumentRobot {
	d := DocumentRobot{Name: r.Name, RobotSettings: RobotSettings{
		Description: r.Description, Disabled: r.Disabled, Expires: timeOf(r.Expires), From: r.From, Permissions: permissionsOf(r.Permissions),
	}}
	for _, s := range r.Secrets {
		d.SecretHashes = append(d.SecretHashes, s.Hash)
	}
	return d
}

func keyDocument(id string, k *state.APIKey) DocumentKey {
	return DocumentKey{ID: id, Name: k.Name, Scopes: slices.Clone(k.Scopes), From: k.From, Expires: timeOf(k.Expires), Disabled: k.Disabled, Hash: k.Hash}
}
