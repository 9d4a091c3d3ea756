package management

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// shortHash tells hashes apart in a difference without showing them.
func shortHash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

func (p *importPlan) projects(list []NewProject) {
	m := p.m
	for i, in := range list {
		field := at("projects", i)
		if m.declaredProject(in.Name) != nil {
			p.skip(m.state.Projects.Kind(), in.Name, "is declared in the configuration")
			continue
		}
		next, err := m.checkProject(p.who, in.Name, in.ProjectInput)
		if err == nil {
			var wrong problems
			wrong.check("members", m.compilesProject(next))
			err = wrong.err()
		}
		if !p.inner(field, err) {
			put(p, m.state.Projects, in.Name, next, "", projectView)
		}
	}
	pruneAll(p, m.state.Projects, list != nil, named[NewProject, state.Project](list, func(d NewProject) string { return d.Name }), projectView)
}

func projectView(v *state.Project) any {
	return showProject(&state.Item[state.Project]{Value: v}).ProjectInput
}

func (p *importPlan) roleMappings(list []NewRoleMapping) {
	m := p.m
	for i, in := range list {
		id := in.Principal
		if in.NotAfter != nil && !in.NotAfter.After(m.now()) {
			p.skip(m.state.RoleMappings.Kind(), id, "has ended")
			continue
		}
		next, err := m.checkMapping(p.who, in.Principal, in.RoleMappingInput)
		if !p.inner(at("role_mappings", i), err) {
			put(p, m.state.RoleMappings, id, next, "", mappingView)
		}
	}
	pruneAll(p, m.state.RoleMappings, list != nil, named[NewRoleMapping, state.RoleMapping](list, func(d NewRoleMapping) string { return d.Principal }), mappingView)
}

func mappingView(v *state.RoleMapping) any {
	return showMapping(&state.Item[state.RoleMapping]{Value: v}).RoleMappingInput
}

func (p *importPlan) robots(list []DocumentRobot, projects []NewProject) {
	m := p.m
	withProjects := *m // a robot's project may come with the same document
	withProjects.pending = map[string][]string{}
	for _, in := range projects {
		withProjects.pending[in.Name] = in.Patterns
	}
	for i, in := range list {
		field := at("robots", i)
		if m.declaredRobot(in.Name) != nil {
			p.skip(m.state.Robots.Kind(), in.Name, "is declared in the configuration")
			continue
		}
		if by := m.takenBy(in.Name); by != "" {
			p.skip(m.state.Robots.Kind(), in.Name, "is the name of "+by+" in the configuration")
			continue
		}
		item, exists := m.state.Robots.Get(in.Name)
		if in.Expires != nil && !in.Expires.After(m.now()) && !exists {
			p.skip(m.state.Robots.Kind(), in.Name, "has expired")
			continue
		}
		if p.inner(field+".name", authn.CheckRobotName(in.Name)) {
			continue
		}
		next, note := &state.Robot{}, ""
		if exists {
			*next = *item.Value
		}
		if !exists || len(differences(robotView(item.Value), in.RobotSettings)) > 0 {
			checked, err := withProjects.checkRobot(p.who, in.Name, RobotInput{RobotSettings: in.RobotSettings})
			if p.inner(field, err) {
				continue
			}
			next.Name, next.Description, next.Disabled = checked.Name, checked.Description, checked.Disabled
			next.Expires, next.From, next.Permissions = checked.Expires, checked.From, checked.Permissions
		}
		now := m.second()
		hashes := in.SecretHashes
		if !exists {
			p.guarded(state.GuardProject(next.Project()))
			next.Number, next.Created, next.CreatedBy = m.newNumber(), now, p.who.actor.String()
			if len(hashes) == 0 {
				_, stored := authn.NewSecret(authn.SecretRobot)
				hashes, note = []string{stored}, "without a secret that anybody knows: rotate it"
			}
		}
		if hashes != nil && !slices.Equal(hashes, robotHashes(next)) {
			var wrong problems
			if withProjects.mayHandOn(p.who, handedRobot(next), &wrong); p.inner(field, wrong.err()) {
				continue
			}
			next.Secrets = nil
			for _, h := range hashes {
				next.Secrets = append(next.Secrets, state.RobotSecret{Hash: h, Created: now})
			}
		}
		if exists && equalRecord(item.Value, next) {
			state.Keep(p.tx, m.state.Robots, item)
			continue
		}
		if _, _, err := next.Compile(); err != nil {
			p.wrong.add(field, "%v", err)
			continue
		}
		next.Updated = now
		put(p, m.state.Robots, in.Name, next, note, robotView)
	}
	pruneAll(p, m.state.Robots, list != nil, named[DocumentRobot, state.Robot](list, func(d DocumentRobot) string { return d.Name }), robotView)
}

func robotView(v *state.Robot) any { return robotDocument(v).RobotSettings }

func robotHashes(r *state.Robot) (list []string) {
	for _, s := range r.Secrets {
		list = append(list, s.Hash)
	}
	return list
}

func (p *importPlan) apiKeys(list []DocumentKey) {
	m := p.m
	kind := m.state.APIKeys.Kind()
	keep := map[string]bool{}
	names := map[string]string{} // of keys that are good, with their ids
	made := 0
	for i, in := range list {
		var wrong problems
		id := in.ID
		if in.Hash != "" {
			hash, err := authn.ParseHash(in.Hash)
			switch {
			case err != nil:
				wrong.add("hash", "%v", err)
			case hash.ID() == "" || in.ID != "" && in.ID != hash.ID():
				wrong.add("hash", "want one of the form sha256:<id>:<hash>, with the id of the key")
			default:
				id = hash.ID()
			}
		}
		for i, s := range in.Scopes {
			wrong.check(at("scopes", i), CheckScope(s))
		}
		for i, f := range in.From {
			_, err := authn.ParseSource(f)
			wrong.check(at("from", i), err)
		}
		if id == "" && in.Hash == "" {
			wrong.add("hash", "is missing, and so is the id of a key that exists")
		}
		if p.inner(at("api_keys", i), wrong.err()) {
			continue
		}
		keep[id] = true
		item, exists := m.state.APIKeys.Get(id)
		if !exists && in.Hash == "" {
			p.skip(kind, id, "there is no such key, and no hash to make it of")
			continue
		}
		next := &state.APIKey{Created: m.second(), CreatedBy: p.who.actor.String(), Hash: in.Hash}
		if exists {
			*next = *item.Value
			if in.Hash != "" {
				next.Hash = in.Hash
			}
		}
		next.Name, next.Scopes, next.From, next.Disabled, next.Expires = in.Name, in.Scopes, in.From, in.Disabled, time.Time{}
		if in.Expires != nil {
			next.Expires = in.Expires.UTC().Truncate(time.Second)
		}
		if !exists || !equalRecord(item.Value, next) {
			m.mayHandOn(p.who, handed{scopes: next.Scopes, from: next.From, expires: next.Expires}, &wrong)
			if p.inner(at("api_keys", i), wrong.err()) {
				continue
			}
		}
		if !exists {
			made++
		}
		if m.alive(next.Expires) {
			if _, taken := names[next.Name]; taken {
				p.wrong.add(at("api_keys", i)+".name", "there is another key called %q", next.Name)
			}
			names[next.Name] = id
		}
		put(p, m.state.APIKeys, id, next, "", keyView)
	}
	for item := range m.state.APIKeys.All() {
		k := item.Value
		if by, taken := names[k.Name]; taken && by != item.ID && !keep[item.ID] && !p.prune && m.alive(k.Expires) {
			p.wrong.add("api_keys", "there is another key called %q", k.Name)
		}
	}
	if made > 0 {
		if n := len(m.state.APIKeys.Sorted()) + made; n > maxKeys {
			p.wrong.add("api_keys", "there would be %d keys, want at most %d", n, maxKeys)
		}
		p.guarded(state.GuardKeys)
	}
	// Whoever prunes must be able to go on.
	pruneAll(p, m.state.APIKeys, list != nil, func(id string, k *state.APIKey) bool {
		return keep[id] || k.Bootstrap || id == p.who.actor.ID
	}, keyView)
}

func keyView(v *state.APIKey) any {
	d := keyDocument("", v)
	d.Hash = ""
	return d
}

func (p *importPlan) owners(list []DocumentOwner) {
	m := p.m
	for i, in := range list {
		next := &state.Owner{Principal: in.Principal, Identity: in.Identity, Since: m.second()}
		id, valid := ownedID(in.Repository)
		if item, exists := m.state.Owners.Get(id); exists && item.Value.Principal == in.Principal && (in.Identity == "" || in.Identity == item.Value.Identity) {
			state.Keep(p.tx, m.state.Owners, item)
			continue
		}
		if !valid {
			p.wrong.add(at("owners", i)+".repository", "is no name of a repository or namespace")
			continue
		}
		if in.Identity == "" || !strings.HasPrefix(in.Principal, "user:") {
			var err error
			if next, err = m.newOwner(in.OwnerInput); p.inner(at("owners", i), err) {
				continue
			}
		}
		put(p, m.state.Owners, id, next, "", ownerView)
	}
	pruneAll(p, m.state.Owners, list != nil, named[DocumentOwner, state.Owner](list, func(d DocumentOwner) string {
		id, _ := ownedID(d.Repository)
		return id
	}), ownerView)
}

func ownerView(v *state.Owner) any { return OwnerInput{Principal: v.Principal, Identity: v.Identity} }

func (p *importPlan) lockedOut(list []DocumentUser) {
	m := p.m
	keep := map[string]bool{}
	for _, in := range list {
		u := state.User{Issuer: in.Issuer, Subject: in.Subject, Name: in.Name, First: m.second(), Last: m.second()}
		id := u.Identity().ID()
		keep[id] = true
		if item, ok := m.state.Users.Get(id); ok {
			u = *item.Value
		}
		u.Disabled = true
		put(p, m.state.Users, id, &u, in.Name, userStanding)
	}
	if !p.prune || list == nil {
		return
	}
	for _, item := range m.state.Users.Sorted() {
		if item.Value.Disabled && !keep[item.ID] {
			next := *item.Value
			next.Disabled = false
			put(p, m.state.Users, item.ID, &next, next.Name, userStanding)
		}
	}
}

func (p *importPlan) readOnly(d *Document) {
	set := func(id string, on bool) {
		item, exists := p.m.state.Settings.Get(id)
		if exists && item.Value.On == on {
			state.Keep(p.tx, p.m.state.Settings, item)
			return
		}
		if !exists && !on {
			return
		}
		put(p, p.m.state.Settings, id, &state.Setting{On: on, Changed: p.m.second(), By: p.who.actor.String()}, "", func(v *state.Setting) any {
			return map[string]bool{"read_only": v.On}
		})
	}
	if d.ReadOnly != nil {
		set(state.SettingReadOnly, *d.ReadOnly)
	}
	for _, name := range d.ReadOnlyProjects {
		p.guarded(state.GuardProject(name))
		set(projectSwitch(name), true)
	}
	if !p.prune || d.ReadOnlyProjects == nil {
		return
	}
	for _, item := range p.m.state.Settings.Sorted() {
		if name, ok := strings.CutPrefix(item.ID, projectSwitch("")); ok && !slices.Contains(d.ReadOnlyProjects, name) {
			set(item.ID, false)
		}
	}
}
