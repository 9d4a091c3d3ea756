package portal

import (
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// projects lists the projects that the person manages.
func (x *exchange) projects() error { return x.showProjects("") }

func (x *exchange) showProjects(problem string) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	list, err := everyPage(func(q management.PageQuery) (*management.Page[*management.Project], error) { return m.Projects(who, q) })
	if err != nil {
		return err
	}
	q := x.query("q")
	t := &table{
		Caption: txtProjectsCaption, Columns: []string{txtProject, txtRepositories, txtMembers, txtSource}, Empty: txtNoProjects,
		Search: &search{Action: x.path("projects"), Label: txtSearchProjects, Value: q},
	}
	for _, p := range list {
		if matches(q, append(p.Patterns, p.Name, p.Description)...) {
			t.Rows = append(t.Rows, []cell{
				{Text: p.Name, Href: x.path("projects/one?name=" + escape(p.Name)), Sub: p.Description},
				{Text: strings.Join(p.Patterns, " "), Code: true},
				{Text: sprintf("%d", len(p.Members))},
				x.projectSource(p),
			})
		}
	}
	t.Rows, t.Next = x.part(t.Rows)
	v := view{Title: txtProjects, Lead: txtProjectsLead, Notice: x.notice(), Problem: problem, Blocks: []block{{Heading: txtProjectsAll, Table: t}}}
	if m.Self(who).Admin {
		v.Blocks = append(v.Blocks, block{Heading: txtProjectNew, Form: &form{Action: x.path("projects"), Submit: txtProjectCreate, Fields: []field{
			{Name: "name", Label: txtItsName, Value: x.form("name", ""), Required: true},
			{Name: "patterns", Label: txtRepositories, Help: txtPatternsHelp, Value: x.form("patterns", ""), Required: true},
			{Name: "description", Label: txtDescription, Value: x.form("description", "")},
		}}})
	}
	return x.show(v)
}

// projectSource is where a project of the list comes from.
func (x *exchange) projectSource(p *management.Project) cell {
	if p.SupersededBy == "" {
		return sourceCell(p.Source)
	}
	return cell{Text: txtSuperseded, Badge: "bad", Sub: sprintf(txtSupersededBy, p.SupersededBy), Buttons: []button{x.removal("projects/delete", p.Name)}}
}

func sourceCell(source string) cell {
	if source == sourceStore {
		return cell{Text: txtStored, Badge: "plain"}
	}
	return cell{Text: txtDeclared, Badge: "plain", Sub: source}
}

// createProject makes a project.
func (x *exchange) createProject() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	in := management.NewProject{Name: x.form("name", ""), ProjectInput: management.ProjectInput{Description: x.form("description", ""), Patterns: x.formList("patterns")}}
	made, err := m.CreateProject(x.r.Context(), who, in)
	if text := correctable(err); err != nil && text != "" {
		return x.showProjects(text)
	}
	if err != nil {
		return err
	}
	return x.goTo("projects/one?done=saved&name=" + escape(made.Name))
}

// project shows a project with its members.
func (x *exchange) project() error { return x.showProject(x.query("name"), "") }

func (x *exchange) showProject(name, problem string) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	p, err := m.Project(who, name)
	if err != nil {
		return err
	}
	stored := p.Source == sourceStore
	members := &table{Caption: txtMembersCaption, Columns: []string{txtMember, txtRole, txtConditions, ""}, Empty: txtNoMembers}
	q := x.query("q")
	for _, member := range p.Members {
		if !matches(q, member.Subject, member.Role) {
			continue
		}
		role := cell{Text: member.Role}
		if member.Role == "" {
			role.Text = strings.Join(member.Actions, ", ")
		}
		remove := cell{}
		if stored {
			remove.Buttons = []button{{Text: txtRemove, Action: x.path("projects/remove-member"), Danger: true, Label: sprintf(txtRemoveLabel, member.Subject), Hidden: []field{{Name: "name", Value: p.Name}, {Name: "subject", Value: member.Subject}}}}
		}
		members.Rows = append(members.Rows, []cell{{Text: member.Subject, Code: true}, role, {Text: conditionsText(member)}, remove})
	}
	if len(p.Members) > pageSize {
		members.Search = &search{Action: x.path("projects/one"), Label: txtSearchMembers, Value: q, Fields: []field{{Kind: "hidden", Name: "name", Value: p.Name}}}
	}
	members.Rows, members.Next = x.part(members.Rows)
	facts := []fact{{txtRepositories, cell{Text: strings.Join(p.Patterns, " "), Code: true}}, {txtSource, sourceCell(p.Source)}}
	if len(p.Immutable) > 0 {
		facts = append(facts, fact{txtImmutable, cell{Text: strings.Join(p.Immutable, " "), Code: true}})
	}
	if p.ReadOnly {
		facts = append(facts, fact{txtState, cell{Text: txtReadOnly, Badge: "warn"}})
	}
	robots := link{Text: txtProjectRobots, Href: x.path("robots?q=" + escape(p.Name+"+"))}
	v := view{Title: sprintf(txtProjectTitle, p.Name), Lead: p.Description, Notice: x.notice(), Problem: problem, Blocks: []block{{Facts: facts, Links: []link{robots}}, {Heading: txtMembers, Table: members}}}
	if stored {
		v.Blocks = append(v.Blocks, block{Heading: txtMemberNew, Form: &form{Action: x.path("projects/members"), Submit: txtMemberAdd, Fields: []field{
			{Kind: "hidden", Name: "name", Value: p.Name},
			{Name: "subject", Label: txtMember, Help: txtMemberHelp, Value: x.form("subject", ""), Required: true},
			roleField(x.form("role", "developer")),
		}}})
	}
	forms, err := x.projectForms(m, who, p)
	if err != nil {
		return err
	}
	v.Blocks = append(v.Blocks, forms...)
	return x.show(v)
}

// roleField lets choose one of the roles that there always are.
func roleField(chosen string) field {
	f := field{Name: "role", Label: txtRole, Kind: "choice"}
	for _, role := range []string{"limited_guest", "guest", "developer", "maintainer", "project_admin", "admin"} {
		f.Options = append(f.Options, option{role, role, role == chosen})
	}
	return f
}

func conditionsText(m management.Member) string {
	var words []string
	if len(m.Tags) > 0 {
		words = append(words, sprintf(txtOnlyTags, strings.Join(m.Tags, " ")))
	}
	if len(m.From) > 0 {
		words = append(words, sprintf(txtOnlyFrom, strings.Join(m.From, " ")))
	}
	if m.NotAfter != nil {
		words = append(words, sprintf(txtOnlyUntil, m.NotAfter.UTC().Format("2006-01-02")))
	}
	if m.When != "" {
		words = append(words, sprintf(txtOnlyWhen, m.When))
	}
	return strings.Join(words, "; ")
}

// putMember adds a member, or changes its role.
func (x *exchange) putMember() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	name := x.form("name", "")
	err = m.SetMemberRole(x.r.Context(), who, name, x.form("subject", ""), x.form("role", ""))
	if text := correctable(err); err != nil && text != "" {
		return x.showProject(name, text)
	}
	if err != nil {
		return err
	}
	return x.goTo("projects/one?done=saved&name=" + escape(name))
}

// removeMember takes a member out of a project.
func (x *exchange) removeMember() error {
	name, subject := x.form("name", ""), x.form("subject", "")
	if !x.confirmed() {
		return x.ask(sprintf(txtRemoveAsk, subject, name), txtRemove, "projects/one?name="+escape(name))
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.DeleteMember(x.r.Context(), who, name, subject, management.Match{}); err != nil {
		return err
	}
	return x.goTo("projects/one?done=deleted&name=" + escape(name))
}

// deleteProject removes a project; its repositories stay.
func (x *exchange) deleteProject() error {
	name := x.form("name", "")
	if !x.confirmed() {
		return x.ask(sprintf(txtProjectDeleteAsk, name), txtDelete, "projects/one?name="+escape(name))
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.DeleteProject(x.r.Context(), who, name, management.Match{}); err != nil {
		return err
	}
	return x.goTo("projects?done=deleted")
}

// projectForms are what the person may change of a project beside its members:
// who manages it stops the writing, administrators change the rest.
func (x *exchange) projectForms(m *management.Manager, who *management.Caller, p *management.Project) ([]block, error) {
	now, err := m.ReadOnly(who, p.Name)
	if err != nil {
		return nil, err
	}
	name := field{Kind: "hidden", Name: "name", Value: p.Name}
	stop := &form{Action: x.path("projects/read-only"), Submit: txtReadOnlyStop, Danger: true, Fields: []field{
		name, {Kind: "hidden", Name: "on", Value: "yes"}, {Name: "reason", Label: txtReadOnlyReason, Value: x.form("reason", "")},
	}}
	if now.On {
		stop = &form{Action: x.path("projects/read-only"), Submit: txtReadOnlyEnd, Fields: []field{name}}
	}
	list := []block{{Heading: txtReadOnlyHeading, Text: readOnlyText(now), Form: stop}}
	if p.Source != sourceStore || !m.Self(who).Admin {
		return list, nil
	}
	settings := &form{Action: x.path("projects/settings"), Submit: txtSave, Fields: []field{
		name,
		{Kind: "hidden", Name: "revision", Value: strconv.FormatUint(p.Revision(), 10)},
		{Name: "description", Label: txtDescription, Value: x.sent("description", p.Description)},
		{Name: "patterns", Label: txtRepositories, Help: txtPatternsHelp, Value: x.sent("patterns", strings.Join(p.Patterns, " ")), Required: true},
		{Name: "immutable", Label: txtImmutable, Help: txtImmutableHelp, Value: x.sent("immutable", strings.Join(p.Immutable, " "))},
	}}
	return append(list,
		block{Heading: txtSettings, Form: settings},
		block{Heading: txtDelete, Text: txtProjectDeleteNote, Form: &form{Action: x.path("projects/delete"), Submit: txtDelete, Danger: true, Fields: []field{name}}}), nil
}

func readOnlyText(now *management.ReadOnly) string {
	if !now.On {
		return txtReadOnlyNote
	}
	text := txtReadOnlyNow
	if now.Since != nil {
		text = sprintf(txtReadOnlySince, now.Since.UTC().Format("2006-01-02 15:04 MST"), now.By)
	}
	if now.Reason != "" {
		text += "\n" + sprintf(txtReadOnlyBecause, now.Reason)
	}
	return text
}

// sent is what was typed in, where a form is shown again, else what there is.
func (x *exchange) sent(name, now string) string {
	if x.r.PostForm.Has(name) {
		return x.r.PostForm.Get(name)
	}
	return now
}

// changeProject changes a project, unless somebody has changed
// it since the form was shown.
func (x *exchange) changeProject() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	name := x.form("name", "")
	revision, err := strconv.ParseUint(x.form("revision", ""), 10, 64)
	if err != nil || revision == 0 {
		return errForm
	}
	p, err := m.Project(who, name)
	if err != nil {
		return err
	}
	in := p.ProjectInput
	in.Description, in.Patterns, in.Immutable = x.form("description", ""), x.formList("patterns"), x.formList("immutable")
	_, _, err = m.PutProject(x.r.Context(), who, name, in, management.Match{Revision: revision})
	if text := correctable(err); err != nil && text != "" {
		return x.showProject(name, text)
	}
	if err != nil {
		return err
	}
	return x.goTo("projects/one?done=saved&name=" + escape(name))
}

// switchProject makes a project read-only, or ends it.
func (x *exchange) switchProject() error {
	name, on := x.form("name", ""), x.form("on", "") == "yes"
	if on && !x.confirmed() {
		return x.ask(sprintf(txtReadOnlyAsk, name), txtReadOnlyStop, "projects/one?name="+escape(name))
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	in := management.ReadOnlyInput{On: on, Reason: x.form("reason", "")}
	if !on {
		in.Reason = ""
	}
	_, err = m.SetReadOnly(x.r.Context(), who, name, in, management.Match{})
	if text := correctable(err); err != nil && text != "" {
		return x.showProject(name, text)
	}
	if err != nil {
		return err
	}
	return x.goTo("projects/one?done=saved&name=" + escape(name))
}
