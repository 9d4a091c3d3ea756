package portal

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// users lists the people who have been seen.
func (x *exchange) users() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	q := x.query("q")
	page, err := m.Users(who, management.UserQuery{PageQuery: x.cursor(), Text: q})
	if err != nil {
		return err
	}
	t := &table{
		Caption: txtUsersCaption, Columns: []string{txtName, txtLastSeen, txtTokens, txtSignIns, txtState}, Empty: txtNoUsers,
		Search: &search{Action: x.path("users"), Label: txtSearchUsers, Value: q}, Next: x.next(page.Next),
	}
	for _, u := range page.Items {
		t.Rows = append(t.Rows, []cell{
			{Text: u.Name, Href: x.path("users/one?id=" + escape(u.ID)), Sub: u.Email},
			{Time: u.LastSeen},
			{Text: sprintf("%d", u.Tokens)},
			{Text: sprintf("%d", u.Sessions)},
			userState(u),
		})
	}
	return x.show(view{Title: txtUsers, Lead: txtUsersLead, Notice: x.notice(), Blocks: []block{{Heading: txtUsersAll, Table: t}}})
}

func userState(u *management.User) cell {
	switch {
	case u.Disabled:
		return cell{Text: txtDisabledState, Badge: "bad"}
	case u.Gone:
		return cell{Text: txtGone, Badge: "bad"}
	}
	return cell{Text: txtEnabled, Badge: "good"}
}

// user shows a person, with tokens, and what can be done.
func (x *exchange) user() error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	u, err := m.User(who, x.query("id"))
	if err != nil {
		return err
	}
	facts := []fact{
		{txtState, userState(u)},
		{txtGroups, cell{Text: orNone(u.Groups)}},
		{txtFirstSeen, cell{Time: u.FirstSeen}},
		{txtLastSeen, cell{Time: u.LastSeen}},
		{txtSignIns, cell{Text: sprintf("%d", u.Sessions)}},
	}
	if u.Email != "" {
		facts = append(facts, fact{txtEmail, cell{Text: u.Email}})
	}
	if u.Issuer != "" {
		facts = append(facts, fact{txtProvider, cell{Text: u.Issuer, Sub: u.Subject}})
	}
	tokens, err := m.Tokens(who, management.TokenQuery{PageQuery: x.cursor(), User: u.ID})
	if err != nil {
		return err
	}
	t := &table{Caption: txtUserTokens, Columns: []string{txtItsName, txtLastUsed, txtExpires, ""}, Empty: txtNone, Next: x.next(tokens.Next)}
	for _, token := range tokens.Items {
		t.Rows = append(t.Rows, []cell{{Text: token.Name, Sub: token.ID}, used(token.LastUsed), x.expiry(token.Expires), {Buttons: []button{
			{Text: txtWithdraw, Action: x.path("users/withdraw-token"), Hidden: []field{{Name: "id", Value: token.ID}, {Name: "user", Value: u.ID}, {Name: "name", Value: token.Name}}, Label: sprintf(txtWithdrawLabel, token.Name), Danger: true},
		}}})
	}
	logins, err := x.loginsOf(u.ID)
	if err != nil {
		return err
	}
	clients := loginTable(logins, txtUserLogins, txtNone, func(login *management.IdentityToken) button {
		return button{Action: x.path("users/end-login"), Hidden: []field{{Name: "id", Value: login.ID}, {Name: "user", Value: u.ID}}}
	})
	id := field{Kind: "hidden", Name: "id", Value: u.ID}
	toggle := block{Heading: txtDisable, Text: txtUserDisableNote, Form: &form{Action: x.path("users/disable"), Submit: txtDisable, Danger: true, Fields: []field{id}}}
	if u.Disabled {
		toggle = block{Heading: txtEnable, Form: &form{Action: x.path("users/enable"), Submit: txtEnable, Fields: []field{id}}}
	}
	return x.show(view{Title: sprintf(txtUserTitle, u.Name), Notice: x.notice(), Blocks: []block{
		{Facts: facts},
		{Heading: txtTokens, Table: t},
		{Heading: txtLogins, Table: clients},
		{Heading: txtSignOutEverywhere, Text: txtSignOutEverywhereNote, Form: &form{Action: x.path("users/sign-out"), Submit: txtSignOutEverywhere, Danger: true, Fields: []field{id}}},
		toggle,
	}})
}

// withdrawUserToken ends somebody's access token.
func (x *exchange) withdrawUserToken() error {
	back := "users/one?id=" + escape(x.form("user", ""))
	if !x.confirmed() {
		return x.ask(sprintf(txtWithdrawAsk, x.form("name", x.form("id", ""))), txtWithdraw, back)
	}
	return x.forUser(back, func(m *management.Manager, who *management.Caller) error {
		return m.RevokeToken(x.r.Context(), who, x.form("id", ""), management.Match{})
	})
}

// endUserLogin ends somebody's docker login.
func (x *exchange) endUserLogin() error {
	back := "users/one?id=" + escape(x.form("user", ""))
	if !x.confirmed() {
		return x.ask(txtLoginEndAsk, txtLoginEnd, back)
	}
	return x.forUser(back, func(m *management.Manager, who *management.Caller) error {
		return m.RevokeIdentityToken(x.r.Context(), who, x.form("id", ""))
	})
}

// disableUser locks somebody out.
func (x *exchange) disableUser() error {
	back := "users/one?id=" + escape(x.form("id", ""))
	if !x.confirmed() {
		return x.ask(txtUserDisableNote, txtDisable, back)
	}
	return x.forUser(back, func(m *management.Manager, who *management.Caller) error {
		_, err := m.SetUserDisabled(x.r.Context(), who, x.form("id", ""), true, management.Match{})
		return err
	})
}

// enableUser lets somebody in again.
func (x *exchange) enableUser() error {
	return x.forUser("users/one?id="+escape(x.form("id", "")), func(m *management.Manager, who *management.Caller) error {
		_, err := m.SetUserDisabled(x.r.Context(), who, x.form("id", ""), false, management.Match{})
		return err
	})
}

// signOutUser ends all that was issued to somebody.
func (x *exchange) signOutUser() error {
	back := "users/one?id=" + escape(x.form("id", ""))
	if !x.confirmed() {
		return x.ask(txtSignOutEverywhereNote, txtSignOutEverywhere, back)
	}
	return x.forUser(back, func(m *management.Manager, who *management.Caller) error {
		return m.SignOut(x.r.Context(), who, x.form("id", ""))
	})
}

func (x *exchange) forUser(back string, do func(*management.Manager, *management.Caller) error) error {
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	if err := do(m, who); err != nil {
		return err
	}
	return x.goTo(back + "&done=saved")
}
