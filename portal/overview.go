package portal

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

var sprintf = fmt.Sprintf

var escape = url.QueryEscape

// overview shows people what they may do, and why.
func (x *exchange) overview() error {
	p := x.principal()
	facts := []fact{{txtName, cell{Text: p.Name, Code: true}}}
	if u, ok := x.portal.options.State.Users.Get(x.session.Record.User); ok && u.Value.Email != "" {
		facts = append(facts, fact{txtEmail, cell{Text: u.Value.Email}})
	}
	facts = append(facts, fact{txtGroups, cell{Text: orNone(p.Groups)}})
	if len(p.Roles) > 0 {
		facts = append(facts, fact{txtRoles, cell{Text: orNone(p.Roles)}})
	}
	if p.Issuer != "" {
		facts = append(facts, fact{txtProvider, cell{Text: p.Issuer, Code: true}})
	}
	t := &table{Caption: txtRightsCaption, Columns: []string{txtRepositories, txtActions, txtReason}, Empty: txtNoRights}
	q := x.query("q")
	for _, c := range x.portal.options.Policy().Concerning(p) {
		row := rightsRow(c)
		if q == "" || strings.Contains(strings.ToLower(row[0].Text+" "+row[1].Text+" "+row[2].Text), strings.ToLower(q)) {
			t.Rows = append(t.Rows, row)
		}
	}
	if len(t.Rows) > pageSize || q != "" {
		t.Search = &search{Action: x.path(""), Label: txtSearchRights, Value: q}
	}
	t.Rows, t.Next = x.part(t.Rows)
	return x.show(view{Title: txtOverview, Lead: txtOverviewLead, Notice: x.notice(), Blocks: []block{
		{Heading: txtRights, Text: txtRightsNote, Table: t},
		{Heading: txtYou, Facts: facts},
	}})
}

// rightsRow puts a rule into words.
func rightsRow(c authz.Concern) []cell {
	r := c.Rule
	where := strings.Join(r.Patterns, " ")
	if len(r.Patterns) == 0 {
		where = txtEverything
	}
	actions := strings.Join(r.Actions.Names(), ", ")
	what := cell{Text: actions}
	if len(r.Tags) > 0 {
		what.Sub = sprintf(txtOnlyTags, strings.Join(r.Tags, " "))
	}
	switch r.Kind {
	case authz.RuleAdmin:
		what = cell{Text: txtAdministrator, Badge: "good"}
	case authz.RuleDeny:
		what = cell{Text: sprintf(txtNot, actions), Badge: "bad"}
	case authz.RuleGrant, authz.RuleAnonymousRead, authz.RuleAuthenticatedRead, authz.RuleImmutable,
		authz.RuleReadOnly, authz.RuleCatalog, authz.RuleLimit, authz.RulePermission:
	}
	why := cell{Text: sprintf(txtBecause, subjectText(c.Subject)), Sub: c.String()}
	if r.Conditional() {
		why.Sub += " " + txtConditional
	}
	return []cell{{Text: where, Code: true}, what, why}
}

// subjectText puts a subject of a rule into words.
func subjectText(subject string) string {
	kind, name, _ := strings.Cut(subject, ":")
	switch kind {
	case "anyone":
		return txtSubjectAnyone
	case "authenticated":
		return txtSubjectAuthenticated
	case "user":
		return txtSubjectUser
	case "group":
		return sprintf(txtSubjectGroup, name)
	case "role":
		return sprintf(txtSubjectRole, name)
	}
	return sprintf(txtSubjectOther, subject)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return txtNone
	}
	sorted := slices.Sorted(slices.Values(list))
	return strings.Join(sorted, ", ")
}
