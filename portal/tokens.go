package portal

import (
	"strconv"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// tokens shows the person's access tokens and lets make one.
func (x *exchange) tokens() error { return x.showTokens("") }

func (x *exchange) showTokens(problem string) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	list, err := everyPage(func(q management.PageQuery) (*management.Page[*management.AccessToken], error) {
		return m.Tokens(who, management.TokenQuery{PageQuery: q})
	})
	if err != nil {
		return err
	}
	q := x.query("q")
	t := &table{Caption: txtTokensCaption, Columns: []string{txtItsName, txtTokenGoodFor, txtLastUsed, txtExpires, ""}, Empty: txtNoTokens}
	for _, token := range list {
		if !matches(q, token.Name, token.ID) {
			continue
		}
		goodFor := cell{Text: txtTokenAll}
		if token.Permissions != nil {
			goodFor = cell{Text: permissionsText(*token.Permissions)}
		}
		t.Rows = append(t.Rows, []cell{
			{Text: token.Name, Sub: token.ID},
			goodFor, used(token.LastUsed), x.expiry(token.Expires),
			{Buttons: []button{{Text: txtWithdraw, Action: x.path("tokens/withdraw"), Hidden: []field{{Name: "id", Value: token.ID}, {Name: "name", Value: token.Name}}, Label: sprintf(txtWithdrawLabel, token.Name), Danger: true}}},
		})
	}
	if len(t.Rows) > pageSize || q != "" {
		t.Search = &search{Action: x.path("tokens"), Label: txtSearchTokens, Value: q}
	}
	t.Rows, t.Next = x.part(t.Rows)
	days := x.form("days", "30")
	choices := []option{{"7", txt7Days, days == "7"}, {"30", txt30Days, days == "30"}, {"90", txt90Days, days == "90"}}
	return x.show(view{Title: txtTokens, Lead: txtTokensLead, Notice: x.notice(), Problem: problem, Blocks: []block{
		{Heading: txtTokenNew, Form: &form{Action: x.path("tokens"), Submit: txtTokenCreate, Fields: []field{
			{Name: "name", Label: txtItsName, Help: txtTokenNameHelp, Value: x.form("name", ""), Required: true},
			{Name: "days", Label: txtTokenDays, Kind: "choice", Options: choices},
			{Name: "permissions", Label: txtTokenPermissions, Help: txtTokenPermissionsHelp, Kind: "area", Value: x.form("permissions", "")},
		}}},
		{Heading: txtTokensYours, Table: t},
	}})
}

// form returns what was sent for a field, else fallback.
func (x *exchange) form(name, fallback string) string {
	if v := x.r.PostForm.Get(name); v != "" {
		return v
	}
	return fallback
}

// createToken makes an access token and shows it, this once.
func (x *exchange) createToken() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	in, err := x.newToken()
	if err != nil {
		return err
	}
	made, err := m.CreateToken(x.r.Context(), who, in)
	if text := correctable(err); err != nil && text != "" {
		return x.showTokens(text)
	}
	if err != nil {
		return err
	}
	return x.secretOnce(sprintf(txtTokenMade, made.Name), txtTokenMadeLead, x.principal().Name, made.Secret, "tokens")
}

// newToken reads the form of a new access token.
func (x *exchange) newToken() (management.NewToken, error) {
	days, err := strconv.Atoi(x.form("days", "30"))
	if err != nil || days < 1 || days > 3650 {
		return management.NewToken{}, errForm
	}
	expires := x.portal.options.Now().Add(time.Duration(days) * 24 * time.Hour).UTC().Truncate(time.Second)
	in := management.NewToken{TokenSettings: management.TokenSettings{Name: x.form("name", ""), Expires: &expires}}
	if list := x.formPermissions("permissions"); len(list) > 0 {
		in.Permissions = &list
	}
	return in, nil
}

// withdrawToken ends an access token.
func (x *exchange) withdrawToken() error {
	if !x.confirmed() {
		return x.ask(sprintf(txtWithdrawAsk, x.form("name", x.form("id", ""))), txtWithdraw, "tokens")
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := m.RevokeToken(x.r.Context(), who, x.form("id", ""), management.Match{}); err != nil {
		return err
	}
	return x.goTo("tokens?done=token-withdrawn")
}
