package management

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Project is a set of repositories with its members and rules.
type Project struct {
	Name string `json:"name" doc:"How rules and robots call it." max:"512"`
	ProjectInput
	Source string `json:"source" doc:"store, or where the configuration declares it. What is declared cannot be changed here." max:"512"`
	Superseded

	versioned
}

// ProjectInput is the request body for a project.
type ProjectInput struct {
	Description string   `json:"description,omitempty" max:"1000"`
	Patterns    []string `json:"patterns" doc:"Which repositories belong to it." min:"1" max:"100"`
	Members     []Member `json:"members,omitempty" doc:"Who may do what in it." max:"500"`
	Immutable   []string `json:"immutable,omitempty" doc:"Tags that can neither be moved nor deleted once they exist." max:"100"`
	ReadOnly    bool     `json:"read_only,omitempty" doc:"Refuses everything that writes."`
}

// NewProject is a project that is to be made.
type NewProject struct {
	Name string `json:"name" doc:"Lower-case letters and digits with single . _ - or / between them." min:"1" max:"100"`
	ProjectInput
}

// maxProjectName is how long a project's name may be, in bytes.
const maxProjectName = 100

var projectName = regexp.MustCompile(`^[a-z0-9]+([._/-][a-z0-9]+)*$`)

// Projects lists the projects that the caller manages, those of the
// configuration included.
func (m *Manager) Projects(who *Caller, q PageQuery) (*Page[*Project], error) {
	if err := needs(who, ScopeProjectsRead); err != nil {
		return nil, err
	}
	id := func(p *Project) string {
		if p.Source == sourceStore {
			return p.Name + afterDeclared
		}
		return p.Name
	}
	return page(q, m.everyProject(who), id, func(p *Project) *Project { return p })
}

func (m *Manager) everyProject(who *Caller) iter.Seq[*Project] {
	return func(yield func(*Project) bool) {
		for _, d := range m.declared.Projects {
			if m.manages(who, d.Patterns) && !yield(showDeclaredProject(d)) {
				return
			}
		}
		for item := range m.state.Projects.All() {
			if !m.manages(who, item.Value.Patterns) {
				continue
			}
			p := showProject(item)
			if d := m.declaredProject(item.ID); d != nil {
				p.Superseded = m.superseded(sourceOr(d.Source))
			}
			if !yield(p) {
				return
			}
		}
	}
}

// Project returns a project. One that the caller does not manage does not
// exist.
func (m *Manager) Project(who *Caller, name string) (*Project, error) {
	if err := needs(who, ScopeProjectsRead); err != nil {
		return nil, err
	}
	return m.project(who, name)
}

func (m *Manager) project(who *Caller, name string) (*Project, error) {
	if d := m.declaredProject(name); d != nil && m.manages(who, d.Patterns) {
		return showDeclaredProject(*d), nil
	}
	if item, ok := m.state.Projects.Get(name); ok && m.manages(who, item.Value.Patterns) {
		return showProject(item), nil
	}
	return nil, noProject(name)
}

// storedProjects describes the projects of the store as a managed resource. Only
// administrators put and delete them; those who manage a project change its members.
func (m *Manager) storedProjects() *managed[state.Project, Project, ProjectInput] {
	writes := func(who *Caller) error { return m.needsAdmin(who, ScopeProjectsWrite) }
	return &managed[state.Project, Project, ProjectInput]{
		manager: m, table: m.state.Projects, object: projectObject, show: showProject,
		mayRead: func(who *Caller) error { return needs(who, ScopeProjectsRead) }, mayPut: writes, mayDelete: writes,
		check: m.checkProject,
		fits: func(p *state.Project) error {
			if err := m.compilesProject(p); err != nil {
				return &Error{Code: CodeInvalid, Detail: err.Error()}
			}
			return nil
		},
		release: m.releaseProject,
		missing: func(name string) error { return cmp.Or(m.undeclared(name), noProject(name)) },
		exists:  func(name string) error { return fail(CodeExists, "there is a project %q", name) },
	}
}

// CreateProject makes a project.
func (m *Manager) CreateProject(ctx context.Context, who *Caller, in NewProject) (*Project, error) {
	return m.storedProjects().create(ctx, who, in.Name, in.ProjectInput)
}

// PutProject makes a project or replaces it, and reports whether it is new. For
// administrators: those who manage a project change its members.
func (m *Manager) PutProject(ctx context.Context, who *Caller, name string, in ProjectInput, match Match) (made *Project, created bool, err error) {
	return m.storedProjects().replace(ctx, who, name, in, match)
}

// checkProject checks a project that is not declared, and returns the record.
func (m *Manager) checkProject(who *Caller, name string, in ProjectInput) (*state.Project, error) {
	if err := m.undeclared(name); err != nil {
		return nil, err
	}
	var wrong problems
	if !projectName.MatchString(name) || len(name) > maxProjectName {
		wrong.add("name", "want lower-case letters and digits with single . _ - or / between them, at most 100")
	}
	for i, p := range in.Patterns {
		wrong.check(at("patterns", i), authz.CheckPattern(p))
	}
	next := &state.Project{
		Name: name, Description: in.Description, Patterns: in.Patterns, Immutable: in.Immutable, ReadOnly: in.ReadOnly,
		Members: m.checkMembers(who, in.Patterns, in.Members, &wrong),
	}
	return next, wrong.err()
}

// compilesProject returns what is wrong with a project as a whole.
func (m *Manager) compilesProject(p *state.Project) error {
	rules := authz.Project{Name: p.Name, Patterns: p.Patterns, Grants: p.Members}
	if len(p.Immutable) > 0 {
		rules.Immutable = []authz.Immutable{{Tags: p.Immutable}}
	}
	_, err := authz.Compile(authz.Config{Roles: m.declared.Roles, Projects: []authz.Project{rules}})
	return err
}

// DeleteProject deletes a project and its read-only switch. Its robots have to
// be deleted before: nobody but administrators could manage them afterwards.
func (m *Manager) DeleteProject(ctx context.Context, who *Caller, name string, match Match) error {
	return m.storedProjects().remove(ctx, who, name, match)
}

// releaseProject refuses to delete a project that has robots, and deletes its
// read-only switch. A declared project of the same name has both.
func (m *Manager) releaseProject(tx *state.Tx, name string) error {
	if m.declaredProject(name) != nil {
		return nil
	}
	guard := m.state.Guard(state.GuardProject(name))
	guard.Put(tx)
	for r := range m.state.Robots.All() {
		if r.Value.Project() == name {
			return fail(CodeConflict, "project %s has robots, such as %s: delete them first", name, r.ID)
		}
	}
	if item, ok := m.state.Settings.Get(projectSwitch(name)); ok {
		state.Delete(tx, m.state.Settings, item.ID, state.Unchanged(item))
	}
	return nil
}

// declaredProject returns the project of that name in the configuration.
func (m *Manager) declaredProject(name string) *DeclaredProject {
	for i := range m.declared.Projects {
		if declaredName(m.declared.Projects[i]) == name {
			return &m.declared.Projects[i]
		}
	}
	return nil
}

func (m *Manager) undeclared(name string) error {
	if m.declaredProject(name) != nil {
		return fail(CodeDeclared, "project %s is declared in the configuration: change it there", name)
	}
	return nil
}

func showProject(i *state.Item[state.Project]) *Project {
	v := i.Value
	return &Project{Name: v.Name, Source: sourceStore, versioned: versioned{i.Revision}, ProjectInput: ProjectInput{
		Description: v.Description, Patterns: v.Patterns, Members: membersOf(v.Members), Immutable: v.Immutable, ReadOnly: v.ReadOnly,
	}}
}

func showDeclaredProject(d DeclaredProject) *Project {
	p := &Project{Name: declaredName(d), Source: sourceOr(d.Source), ProjectInput: ProjectInput{Patterns: d.Patterns, Members: membersOf(d.Grants), ReadOnly: d.ReadOnly}}
	for _, i := range d.Immutable {
		p.Immutable = append(p.Immutable, i.Tags...)
	}
	return p
}

func projectObject(name string) state.Object {
	return state.Object{Kind: "project", ID: name, Name: name}
}

func noProject(name string) error { return fail(CodeNotFound, "there is no project %.128q", name) }

// projects returns the names and patterns of the projects that are declared or
// stored, sorted by name.
func (m *Manager) projects() iter.Seq2[string, []string] {
	type named struct {
		name     string
		patterns []string
	}
	var list []named
	for _, p := range m.declared.Projects {
		list = append(list, named{declaredName(p), p.Patterns})
	}
	for item := range m.state.Projects.All() {
		list = append(list, named{item.ID, item.Value.Patterns})
	}
	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return func(yield func(string, []string) bool) {
		for _, p := range list {
			if !yield(p.name, p.patterns) {
				return
			}
		}
	}
}

// declaredName is how a declared project is called.
func declaredName(p DeclaredProject) string {
	if p.Name != "" {
		return p.Name
	}
	return strings.Join(p.Patterns, " ")
}

// patternsOf returns what belongs to a project. One that nobody has described
// has all that is below its name.
func (m *Manager) patternsOf(project string) []string {
	for _, p := range m.declared.Projects {
		if declaredName(p) == project {
			return p.Patterns
		}
	}
	if patterns, ok := m.pending[project]; ok {
		return patterns
	}
	if item, ok := m.state.Projects.Get(project); ok {
		return item.Value.Patterns
	}
	return []string{project + "/**"}
}

// projectRoutes are about projects and their members.
func (a *API) projectRoutes() []route {
	m := a.manager
	x := collection[Project]{
		path: "/projects", variable: "name", group: "projects", read: ScopeProjectsRead, write: ScopeProjectsWrite,
		name: func(p *Project) string { return p.Name },
	}
	return []route{
		x.list("listProjects", "The projects that you manage.", m.Projects),
		creating(x, "createProject", "Makes a project. For administrators.", m.CreateProject, CodeForbidden, CodeExists, CodeDeclared, CodeConflict),
		x.get("getProject", "A project.", m.Project, CodeNotFound),
		putting(x, "putProject", "Makes a project, or replaces all that is said of it. For administrators.", m.PutProject, CodeForbidden, CodeDeclared, CodeConflict),
		x.remove("deleteProject", "Deletes a project that has no robots. For administrators.", m.DeleteProject, CodeForbidden, CodeNotFound, CodeDeclared, CodeConflict),
		{
			method: http.MethodPut, path: "/projects/{name}/members/{subject}", id: "putMember", group: "projects", scope: ScopeProjectsWrite,
			summary: "Gives somebody rights in a project that you manage, in place of those that it has there.",
			body:    of[MemberInput](), status: http.StatusOK, created: true, result: of[Project](), versioned: true,
			fails: []Code{CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return x.answer(m.PutMember(c.request.Context(), c.who, c.path["name"], c.path["subject"], input[MemberInput](c), c.match))
			},
		},
		{
			method: http.MethodDelete, path: "/projects/{name}/members/{subject}", id: "deleteMember", group: "projects", scope: ScopeProjectsWrite,
			summary: "Takes the rights of somebody in a project away.", status: http.StatusNoContent, versioned: true,
			fails: []Code{CodeNotFound, CodeDeclared, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.DeleteMember(c.request.Context(), c.who, c.path["name"], c.path["subject"], c.match)
			},
		},
	}
}
