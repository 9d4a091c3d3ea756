package authz

import "strings"

// Restrictions returns what restricts a rule, as it was written: the tags it
// is about and its conditions, such as "from 10.0.0.0/8". It is empty for a
// rule that always holds.
func (r *Rule) Restrictions() []string {
	var list []string
	if len(r.Tags) > 0 && r.Kind != RuleImmutable {
		list = append(list, "tags "+strings.Join(r.Tags, " "))
	}
	if r.conditions == nil {
		return list
	}
	written := &r.conditions.written
	if len(written.From) > 0 {
		list = append(list, "from "+strings.Join(written.From, " "))
	}
	if written.Until != "" {
		list = append(list, "until "+written.Until)
	}
	if written.Between != "" {
		list = append(list, "between "+written.Between)
	}
	if written.When != "" {
		list = append(list, "when `"+written.When+"`")
	}
	return list
}
