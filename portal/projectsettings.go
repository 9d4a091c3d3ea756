package portal

import (
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

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

// changeProject changes what is said of a project, unless somebody has changed
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
