package management

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// ImportOptions say how a document is imported.
type ImportOptions struct {
	// DryRun: only say what would be done.
	DryRun bool
	// Prune: delete what a list of the document does not have. Lists that are
	// absent are left alone.
	Prune bool
}

// ImportResult is what was done, or would be.
type ImportResult struct {
	DryRun  bool           `json:"dry_run" doc:"Nothing was done."`
	Changes []ImportChange `json:"changes" doc:"In the order of the document. None: all is as the document says."`
}

// ImportChange is one change.
type ImportChange struct {
	Action string   `json:"action" enum:"create,update,delete,skip"`
	Kind   string   `json:"kind" doc:"project, role_mapping, robot, api_key, owner, user or setting."`
	ID     string   `json:"id"`
	Fields []string `json:"fields,omitempty" doc:"What differs, as 'field: before → after'."`
	Note   string   `json:"note,omitempty" doc:"Why it is passed over, or what is left to be done."`
}

// String returns the change in one line or more, for a terminal.
func (c ImportChange) String() string {
	sign := map[string]string{"create": "+", "update": "~", "delete": "-", "skip": "!"}[c.Action]
	text := sign + " " + c.Kind + " " + c.ID
	if c.Note != "" {
		text += " (" + c.Note + ")"
	}
	for _, f := range c.Fields {
		text += "\n    " + f
	}
	return text
}

// Import makes what is stored as a document says, all of it or nothing. What
// is as it should be is not written: the second time it does nothing. Robots
// and keys that exist keep their secrets unless the document has hashes.
func (m *Manager) Import(ctx context.Context, who *Caller, d *Document, o ImportOptions) (*ImportResult, error) {
	if err := m.needsAdmin(who, ScopeAll); err != nil {
		return nil, err
	}
	if !o.DryRun {
		if err := mayCreate(who); err != nil {
			return nil, err
		}
	}
	var result *ImportResult
	err := m.again(ctx, func() error {
		var tx state.Tx
		p, err := m.plan(&tx, who, d, o.Prune)
		if err != nil {
			return err
		}
		result = &ImportResult{DryRun: o.DryRun, Changes: p.changes}
		if o.DryRun {
			return nil
		}
		return m.commit(ctx, who, &tx, result)
	})
	return result, err
}

// plan adds what is to be done to a transaction.
func (m *Manager) plan(tx *state.Tx, who *Caller, d *Document, prune bool) (*importPlan, error) {
	p := &importPlan{m: m, tx: tx, who: who, prune: prune, changes: []ImportChange{}, about: map[state.Object]bool{}}
	if d.Version != documentVersion {
		p.wrong.add("version", "is %d, this program reads %d", d.Version, documentVersion)
	}
	if p.distinct(d); len(p.wrong) > 0 {
		return nil, p.wrong.err()
	}
	p.guard(d)
	p.projects(d.Projects)
	p.roleMappings(d.RoleMappings)
	p.robots(d.Robots, d.Projects)
	p.apiKeys(d.APIKeys)
	p.owners(d.Owners)
	p.robotsGone()
	p.projectsGone()
	p.lockedOut(d.LockedOut)
	p.readOnly(d)
	return p, p.wrong.err()
}

// importPlan is an import on its way into a transaction.
type importPlan struct {
	m       *Manager
	tx      *state.Tx
	who     *Caller
	prune   bool
	wrong   problems
	changes []ImportChange
	about   map[state.Object]bool // what is written or deleted, by kind and id
	guards  map[string]state.Guarding
}

// distinct refuses a document that says two things of one record.
func (p *importPlan) distinct(d *Document) {
	distinct(p, "projects", d.Projects, func(e NewProject) string { return e.Name })
	distinct(p, "role_mappings", d.RoleMappings, func(e NewRoleMapping) string { return e.Principal })
	distinct(p, "robots", d.Robots, func(e DocumentRobot) string { return e.Name })
	distinct(p, "api_keys", d.APIKeys, func(e DocumentKey) string {
		if hash, err := authn.ParseHash(e.Hash); err == nil {
			return hash.ID()
		}
		return e.ID
	})
	distinct(p, "owners", d.Owners, func(e DocumentOwner) string { return e.Repository })
	distinct(p, "locked_out", d.LockedOut, func(e DocumentUser) string {
		return (&state.User{Issuer: e.Issuer, Subject: e.Subject, Name: e.Name}).Identity().ID()
	})
	distinct(p, "read_only_projects", d.ReadOnlyProjects, func(e string) string { return e })
}

func distinct[T any](p *importPlan, field string, list []T, id func(T) string) {
	first := make(map[string]int, len(list))
	for i, e := range list {
		if j, twice := first[id(e)]; twice && id(e) != "" {
			p.wrong.add(at(field, i), "says something else of what %s is about", at(field, j))
			continue
		}
		first[id(e)] = i
	}
}

// guard reads the guards of what the document may make or delete, before anything
// else is looked at.
func (p *importPlan) guard(d *Document) {
	p.guards = map[string]state.Guarding{state.GuardKeys: p.m.state.Guard(state.GuardKeys)}
	read := func(project string) {
		if id := state.GuardProject(project); project != "" {
			p.guards[id] = p.m.state.Guard(id)
		}
	}
	for _, r := range d.Robots {
		read((&state.Robot{Name: r.Name}).Project())
	}
	for _, name := range d.ReadOnlyProjects {
		read(name)
	}
	if p.prune && d.Projects != nil {
		for item := range p.m.state.Projects.All() {
			read(item.ID)
		}
	}
}

// guarded puts a guard into the transaction, once.
func (p *importPlan) guarded(id string) {
	if g, ok := p.guards[id]; ok {
		g.Put(p.tx)
		delete(p.guards, id)
	}
}

// projectsGone refuses to delete a project that has robots: nobody but
// administrators could manage them afterwards, and the next project of that name
// would have them.
func (p *importPlan) projectsGone() {
	robots := p.m.state.Robots.Kind()
	gone, deleted := map[string]bool{}, map[string]bool{}
	for _, c := range p.changes {
		switch {
		case c.Action == "delete" && c.Kind == p.m.state.Projects.Kind() && p.m.declaredProject(c.ID) == nil:
			gone[c.ID] = true
			p.guarded(state.GuardProject(c.ID))
		case c.Action == "delete" && c.Kind == robots:
			deleted[c.ID] = true
		}
	}
	refuse := func(robot string) {
		if project := (&state.Robot{Name: robot}).Project(); gone[project] {
			p.wrong.add("projects", "without %s, which has robots, such as %s", project, robot)
			delete(gone, project)
		}
	}
	for _, c := range p.changes {
		if c.Kind == robots && c.Action == "create" {
			refuse(c.ID)
		}
	}
	for item := range p.m.state.Robots.All() {
		if len(gone) > 0 && !deleted[item.ID] {
			refuse(item.ID)
		}
	}
}

// note takes down what is done to a record.
func (p *importPlan) note(c ImportChange) {
	p.changes = append(p.changes, c)
	p.about[state.Object{Kind: c.Kind, ID: c.ID}] = true
}

// robotsGone lets what a robot's name was given go with a robot that is deleted,
// unless the document says otherwise.
func (p *importPlan) robotsGone() {
	kind := p.m.state.Robots.Kind()
	for _, c := range p.changes {
		if c.Kind == kind && c.Action == "delete" && p.m.takenBy(c.ID) == "" {
			p.m.forgetName(p.tx, p.who, robotPrincipal(c.ID), p.about)
		}
	}
}

func (p *importPlan) skip(kind, id, note string) {
	p.changes = append(p.changes, ImportChange{Action: "skip", Kind: kind, ID: id, Note: note})
}

// put writes a record if what is shown of it differs from what there is.
func put[T any](p *importPlan, t *state.Table[T], id string, next *T, note string, show func(*T) any) {
	item, exists := t.Get(id)
	c := ImportChange{Action: "create", Kind: t.Kind(), ID: id, Note: note}
	condition := state.Absent
	var before any
	if exists {
		if equalRecord(item.Value, next) {
			state.Keep(p.tx, t, item)
			return
		}
		before, condition, c.Action = show(item.Value), state.Unchanged(item), "update"
	}
	after := show(next)
	c.Fields = differences(before, after)
	state.Put(p.tx, t, id, next, condition)
	p.tx.Note(p.who.Actor(), t.Kind()+".import", state.Object{Kind: t.Kind(), ID: id, Name: id}, before, after)
	p.note(c)
}

// pruneAll deletes what the document does not have.
func pruneAll[T any](p *importPlan, t *state.Table[T], listed bool, keep func(id string, v *T) bool, show func(*T) any) {
	if !p.prune || !listed {
		return
	}
	for _, item := range t.Sorted() {
		if keep(item.ID, item.Value) {
			continue
		}
		state.Delete(p.tx, t, item.ID, state.Unchanged(item))
		p.tx.Note(p.who.Actor(), t.Kind()+".delete", state.Object{Kind: t.Kind(), ID: item.ID, Name: item.ID}, show(item.Value), nil)
		p.note(ImportChange{Action: "delete", Kind: t.Kind(), ID: item.ID})
	}
}

// named returns whether an id is one of a list.
func named[T, V any](list []T, name func(T) string) func(string, *V) bool {
	ids := map[string]bool{}
	for _, e := range list {
		ids[name(e)] = true
	}
	return func(id string, _ *V) bool { return ids[id] }
}

// inner adds what is wrong with one member of a list.
func (p *importPlan) inner(field string, err error) bool {
	if err == nil {
		return false
	}
	e := AsError(err)
	for _, f := range e.Fields {
		p.wrong.add(join(field, f.Field), "%s", f.Detail)
	}
	if len(e.Fields) == 0 {
		p.wrong.add(field, "%s", e.Detail)
	}
	return true
}

// differences lists the fields that two values differ in. Hashes are named and
// not shown.
func differences(before, after any) []string {
	a, b := flat(before), flat(after)
	var names []string
	for name := range b {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		was, is := a[name], b[name]
		if was == "" {
			was = "(none)"
		}
		if is == "" {
			is = "(none)"
		}
		if before == nil {
			names[i] = name + ": " + is
		} else {
			names[i] = name + ": " + was + " → " + is
		}
	}
	return names
}

// flat returns the members of an object as JSON texts.
func flat(v any) map[string]string {
	out := map[string]string{}
	raw, err := json.Marshal(v)
	var members map[string]json.RawMessage
	if err != nil || v == nil || json.Unmarshal(raw, &members) != nil {
		return out
	}
	for name, text := range members {
		if strings.Contains(name, "hash") {
			text = fmt.Appendf(nil, "(hash %s)", shortHash(text))
		}
		if s := string(text); s != "null" && s != `""` && s != "[]" && s != "false" {
			out[name] = s
		}
	}
	return out
}
