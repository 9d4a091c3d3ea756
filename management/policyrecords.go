package management

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Records are the rules that are stored and not declared.
type Records struct {
	Admins   []authz.Admin
	Projects []authz.Project
	ReadOnly bool

	// Problems are the records that are no rules: what they would allow, they
	// do not.
	Problems []RecordError
}

// RecordError is a stored record that cannot be used.
type RecordError struct {
	Object state.Object
	Err    error
}

func (p RecordError) Error() string {
	return fmt.Sprintf("stored %s %s: %v", strings.ReplaceAll(p.Object.Kind, "_", " "), p.Object.ID, p.Err)
}

// Unwrap returns what is wrong with it.
func (p RecordError) Unwrap() error { return p.Err }

// PolicyRecords turns what is stored of projects, role mappings and read-only
// switches into rules, to be added to those that are declared. Each record is
// tried on its own: one that cannot be used, or has the name of a declared
// project, is a problem and leaves the others alone.
func PolicyRecords(st *state.State, declared authz.Config, config Config) Records {
	c := &recordCompiler{declared: declared, names: map[string]authz.Project{}}
	for _, p := range declared.Projects {
		c.names[ProjectName(p)] = p
	}
	for _, item := range st.Projects.Sorted() {
		c.project(item)
	}
	if !config.NoRoleMappings {
		for _, item := range st.RoleMappings.Sorted() {
			c.mapping(item)
		}
	}
	for _, item := range st.Settings.Sorted() {
		c.setting(item)
	}
	return c.out
}

// Add returns a configuration with the records. What is declared is not
// changed.
func (r Records) Add(to authz.Config) authz.Config {
	to.Admins = append(slices.Clip(to.Admins), r.Admins...)
	to.Projects = append(slices.Clip(to.Projects), r.Projects...)
	to.ReadOnly = to.ReadOnly || r.ReadOnly
	return to
}

// ProjectName returns how rules call a declared project.
func ProjectName(p authz.Project) string {
	if p.Name != "" {
		return p.Name
	}
	return strings.Join(p.Patterns, " ")
}

type recordCompiler struct {
	declared authz.Config
	names    map[string]authz.Project // by name, as far as they are in force
	out      Records
}

// try adds rules if they compile, with the declared roles and nothing else.
func (c *recordCompiler) try(object state.Object, admins []authz.Admin, projects []authz.Project) bool {
	_, err := authz.Compile(authz.Config{Roles: c.declared.Roles, Admins: admins, Projects: projects})
	for _, p := range projects {
		if other, taken := c.names[ProjectName(p)]; taken && err == nil {
			err = fmt.Errorf("there is a project of that name already (%s)", other.Source)
		}
	}
	if err != nil {
		c.out.Problems = append(c.out.Problems, RecordError{object, err})
		return false
	}
	c.out.Admins = append(c.out.Admins, admins...)
	c.out.Projects = append(c.out.Projects, projects...)
	for _, p := range projects {
		c.names[ProjectName(p)] = p
	}
	return true
}

func (c *recordCompiler) project(item *state.Item[state.Project]) {
	p := item.Value
	source := "stored project " + p.Name
	rules := authz.Project{Name: p.Name, Patterns: p.Patterns, ReadOnly: p.ReadOnly, Source: source}
	for _, g := range p.Members {
		g.Source = source
		rules.Grants = append(rules.Grants, g)
	}
	if len(p.Immutable) > 0 {
		rules.Immutable = []authz.Immutable{{Tags: p.Immutable, Source: source}}
	}
	object := state.Object{Kind: "project", ID: item.ID}
	if c.try(object, nil, []authz.Project{rules}) || len(p.Immutable) == 0 && !p.ReadOnly {
		return
	}
	// What protects goes on even where what allows cannot be used.
	rules.Grants = nil
	reported := len(c.out.Problems)
	c.try(object, nil, []authz.Project{rules})
	c.out.Problems = c.out.Problems[:reported]
}

// Roles of role mappings as Apicurio Registry names them, in ours.
var apicurioRoles = map[string]string{"ADMIN": "admin", "DEVELOPER": "sr-developer", "READ_ONLY": "sr-readonly"}

// MappedRole returns the role that a role mapping gives, in our words.
func MappedRole(role string) string {
	if ours, ok := apicurioRoles[role]; ok {
		return ours
	}
	return role
}

func (c *recordCompiler) mapping(item *state.Item[state.RoleMapping]) {
	m := item.Value
	object := state.Object{Kind: "role_mapping", ID: item.ID}
	source, role, subject := "stored role mapping "+item.ID, MappedRole(m.Role), m.Principal
	var conditions authz.Conditions
	if !m.NotAfter.IsZero() {
		conditions.Until = m.NotAfter.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	if role == "admin" && len(m.Patterns) == 0 {
		c.try(object, []authz.Admin{{Subjects: []string{subject}, Conditions: conditions, Mapped: true, Source: source}}, nil)
		return
	}
	patterns := m.Patterns
	if len(patterns) == 0 {
		patterns = []string{"**"}
	}
	c.try(object, nil, []authz.Project{{
		Name: "(role mapping " + item.ID + ")", Patterns: patterns, Source: source,
		Grants: []authz.Grant{{Role: role, Subjects: []string{subject}, Conditions: conditions, Mapped: true, Source: source}},
	}})
}

// setting adds the read-only switches, of the whole registry and of projects,
// which may be declared ones.
func (c *recordCompiler) setting(item *state.Item[state.Setting]) {
	if !item.Value.On {
		return
	}
	if item.ID == state.SettingReadOnly {
		c.out.ReadOnly = true
		return
	}
	name, ok := strings.CutPrefix(item.ID, state.SettingReadOnly+"/")
	if !ok {
		return
	}
	p, known := c.names[name]
	if !known {
		return // the project is gone
	}
	c.try(state.Object{Kind: "setting", ID: item.ID}, nil, []authz.Project{{
		Name: "(read-only " + name + ")", Patterns: p.Patterns, ReadOnly: true, Source: "read-only switch of project " + name,
	}})
}

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
		name := declaredName(p)
		if _, ok := m.state.Projects.Get(name); ok {
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
