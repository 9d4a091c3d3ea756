package portal

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

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
