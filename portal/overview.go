package portal

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
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

// explain says whether somebody may do something, and why.
func (x *exchange) explain() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	q := management.ExplainQuery{
		Principal: x.query("who"), Action: x.query("action"), Repository: x.query("repository"), Tag: x.query("tag"),
		Groups: strings.FieldsFunc(x.query("groups"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
	actions := field{Name: "action", Label: txtAction, Kind: "choice"}
	for _, a := range []string{"pull", "push", "delete", "overwrite", "list", "manage"} {
		actions.Options = append(actions.Options, option{a, a, a == q.Action})
	}
	if q.Principal == "" {
		q.Principal = x.principal().String()
	}
	v := view{Title: txtExplain, Lead: txtExplainLead, Blocks: []block{{Table: &table{Search: &search{
		Action: x.path("explain"), Submit: txtExplain, Label: txtRepository, Value: q.Repository,
		Fields: []field{actions, {Name: "who", Label: txtWho, Value: q.Principal}, {Name: "groups", Label: txtGroups, Value: x.query("groups")}, {Name: "tag", Label: txtTag, Value: q.Tag}},
	}}}}}
	if q.Repository = x.query("q"); q.Repository == "" {
		return x.show(v)
	}
	v.Blocks[0].Table.Search.Value = q.Repository
	out, err := m.Explain(who, q)
	if text := correctable(err); err != nil && text != "" {
		v.Problem = text
		return x.show(v)
	}
	if err != nil {
		return err
	}
	verdict := cell{Text: txtRefused1, Badge: "bad"}
	if out.Allowed {
		verdict = cell{Text: txtAllowed, Badge: "good"}
	}
	facts := []fact{{txtQuestion, cell{Text: out.Principal + " · " + out.Asked}}, {txtDecision, verdict}, {txtReason, cell{Text: out.Reason}}}
	if out.LockedOut != "" {
		facts = append(facts, fact{txtLockedOut, cell{Text: out.LockedOut}})
	}
	for _, w := range out.Would {
		facts = append(facts, fact{txtWouldHelp, cell{Text: w}})
	}
	rules := &table{Caption: txtRulesCaption, Columns: []string{txtRule, txtApplies, txtWhy}, Empty: txtNoRules}
	for _, r := range out.Rules {
		applies := cell{Text: txtNo, Badge: "plain"}
		if r.Applies {
			applies = cell{Text: txtYes, Badge: "good"}
		}
		rules.Rows = append(rules.Rows, []cell{{Text: r.Rule, Code: true, Sub: r.Source}, applies, {Text: r.Why}})
	}
	v.Blocks = append(v.Blocks, block{Heading: txtDecision, Facts: facts}, block{Heading: txtRules, Table: rules})
	return x.show(v)
}
