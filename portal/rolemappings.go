package portal

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// roleMappings lists who has which role.
func (x *exchange) roleMappings() error { return x.showRoleMappings("") }

func (x *exchange) showRoleMappings(problem string) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	list, err := everyPage(func(q management.PageQuery) (*management.Page[*management.RoleMapping], error) {
		return m.RoleMappings(who, q)
	})
	if err != nil {
		return err
	}
	q := x.query("q")
	t := &table{
		Caption: txtMappingsCaption, Columns: []string{txtMember, txtRole, txtRepositories, txtExpires, ""}, Empty: txtNoMappings,
		Search: &search{Action: x.path("role-mappings"), Label: txtSearchMappings, Value: q},
	}
	for _, r := range list {
		if !matches(q, r.Principal, r.PrincipalName, r.Role) {
			continue
		}
		where := txtEverything
		if len(r.Patterns) > 0 {
			where = strings.Join(r.Patterns, " ")
		}
		t.Rows = append(t.Rows, []cell{
			{Text: r.Principal, Code: true, Sub: r.PrincipalName},
			{Text: r.Role},
			{Text: where, Code: true},
			x.expiry(r.NotAfter),
			{Buttons: []button{{Text: txtRemove, Action: x.path("role-mappings/delete"), Hidden: []field{{Name: "principal", Value: r.Principal}}, Label: sprintf(txtRemoveLabel, r.Principal), Danger: true}}},
		})
	}
	t.Rows, t.Next = x.part(t.Rows)
	return x.show(view{Title: txtMappings, Lead: txtMappingsLead, Notice: x.notice(), Problem: problem, Blocks: []block{
		{Heading: txtMappingsAll, Table: t},
		{Heading: txtMappingNew, Form: &form{Action: x.path("role-mappings"), Submit: txtMappingCreate, Fields: []field{
			{Name: "principal", Label: txtMember, Help: txtMemberHelp, Value: x.form("principal", ""), Required: true},
			roleField(x.form("role", "developer")),
			{Name: "patterns", Label: txtRepositories, Help: txtMappingPatternsHelp, Value: x.form("patterns", "")},
			{Name: "expires", Label: txtExpires, Help: txtExpiresHelp, Kind: "date", Value: x.form("expires", "")},
		}}},
	}})
}

// createRoleMapping gives somebody a role.
func (x *exchange) createRoleMapping() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	until, ok := x.formTime("expires")
	if !ok {
		return x.showRoleMappings(txtBadDate)
	}
	_, err = m.CreateRoleMapping(x.r.Context(), who, management.NewRoleMapping{Principal: x.form("principal", ""), RoleMappingInput: management.RoleMappingInput{
		Role: x.form("role", ""), Patterns: x.formList("patterns"), NotAfter: until,
	}})
	if text := correctable(err); err != nil && text != "" {
		return x.showRoleMappings(text)
	}
	if err != nil {
		return err
	}
	return x.goTo("role-mappings?done=saved")
}

// deleteRoleMapping takes a role away.
func (x *exchange) deleteRoleMapping() error {
	principal := x.form("principal", "")
	if !x.confirmed() {
		return x.ask(sprintf(txtMappingDeleteAsk, principal), txtRemove, "role-mappings")
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.DeleteRoleMapping(x.r.Context(), who, principal, management.Match{}); err != nil {
		return err
	}
	return x.goTo("role-mappings?done=deleted")
}
