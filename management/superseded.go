package management

import (
	"cmp"
	"maps"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Names are unique, also where the configuration takes one after something of
// that name was stored: then what is declared counts whole, and what is stored
// is dead. It is still listed, and can be deleted.

// Superseded says of something stored that it is not in force.
type Superseded struct {
	SupersededBy string `json:"superseded_by,omitempty" doc:"Where the configuration declares something of that name. This one is not in force and can only be deleted." max:"600"`
}

func (m *Manager) superseded(by string) Superseded { return Superseded{by} }

// sourceOr is where something is declared, as far as that is known.
func sourceOr(source string) string { return cmp.Or(source, "configuration") }

// Taken returns the names that no stored robot may have, each with what in the
// configuration has it: a robot, a companion service, what a workload acts as,
// or a user who logs in by it.
func (d *Declared) Taken() map[string]string {
	taken := make(map[string]string, len(d.Robots)+len(d.RobotNames))
	maps.Copy(taken, d.RobotNames)
	for i := range d.Robots {
		taken[d.Robots[i].Name] = sourceOr(d.Robots[i].Source)
	}
	return taken
}

// takenBy returns what in the configuration has a name, "" if nothing has.
func (m *Manager) takenBy(name string) string { return m.taken[name] }

func nameTaken(name, by string) error {
	return fail(CodeDeclared, "%s is the name of %s in the configuration: a robot of that name would be taken for it", name, by)
}

// Facts are what is known at run time, for decisions: what is stored, without
// what the configuration supersedes.
func Facts(st *state.State, declared Declared) authz.Facts { return &facts{st, declared.Taken()} }

type facts struct {
	*state.State
	taken map[string]string
}

// Permissions implements [authz.Facts].
func (f *facts) Permissions(p *authn.Principal) *authz.Permissions {
	if _, taken := f.taken[p.Name]; taken && p.Kind == authn.KindRobot {
		return nil
	}
	return f.State.Permissions(p)
}

// supersededObject is something stored that is not in force, and what stands in
// its place.
type supersededObject struct {
	state.Object
	by string
}

// everySuperseded returns what is stored and not in force. What it costs depends
// on what is declared, not on what is stored.
func (m *Manager) everySuperseded() (list []supersededObject) {
	for name, by := range m.taken {
		if _, ok := m.state.Robots.Get(name); ok {
			list = append(list, supersededObject{robotObject(name), by})
		}
	}
	for _, p := range m.declared.Projects {
		if name := declaredName(p); revisionOf(m.state.Projects, name) != 0 {
			list = append(list, supersededObject{projectObject(name), sourceOr(p.Source)})
		}
	}
	if len(m.statics) == 0 {
		return list
	}
	for item := range m.state.APIKeys.All() {
		if by := m.keySource(item.Value.Name); by != "" {
			list = append(list, supersededObject{keyObject(item.ID, item.Value), by})
		}
	}
	return list
}

// warnOfSuperseded says at the start what of the store is not in force.
func (m *Manager) warnOfSuperseded() {
	for _, s := range m.everySuperseded() {
		m.log.Warn("the configuration supersedes something stored, which is not in force and can be deleted",
			"realm", m.state.Realm(), "kind", s.Kind, "id", s.ID, "name", s.Name, "by", s.by)
	}
}
