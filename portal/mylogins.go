package portal

import (
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// loginBlocks show the identity tokens of the person: what `docker login` and
// its like keep.
func (x *exchange) loginBlocks() ([]block, error) {
	if x.portal.options.Logins == nil {
		return nil, nil
	}
	mine, err := x.loginsOf("")
	if err != nil {
		return nil, err
	}
	t := loginTable(mine, txtLoginsCaption, txtNoLogins, func(login *management.IdentityToken) button {
		return button{Action: x.path("logins/end"), Hidden: []field{{Name: "id", Value: login.ID}}}
	})
	all := block{Heading: txtLogins, Text: txtLoginsNote, Table: t}
	if len(mine) > 1 {
		all.Form = &form{Action: x.path("logins/end"), Submit: txtLoginEndAll, Danger: true}
	}
	return []block{all}, nil
}

// loginsOf returns the identity tokens of a user, the newest first; of the
// person, if the user is "".
func (x *exchange) loginsOf(user string) ([]*management.IdentityToken, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	list, err := everyPage(func(q management.PageQuery) (*management.Page[*management.IdentityToken], error) {
		return m.IdentityTokens(who, management.TokenQuery{PageQuery: q, User: user})
	})
	slices.SortFunc(list, func(a, b *management.IdentityToken) int { return b.Created.Compare(a.Created) })
	return list, err
}

// loginTable lists identity tokens, each with the button that ends it.
func loginTable(list []*management.IdentityToken, caption, empty string, end func(*management.IdentityToken) button) *table {
	t := &table{Caption: caption, Columns: []string{txtLoginClient, txtLoginSince, txtLastUsed, txtExpires, ""}, Empty: empty}
	for _, login := range list {
		about := []string{login.ID}
		if login.Permissions != nil {
			about = append(about, sprintf(txtLoginOnly, strings.ReplaceAll(permissionsText(*login.Permissions), "\n", "; ")))
		}
		name := orUnknown(login.Client)
		b := end(login)
		b.Text, b.Label, b.Danger = txtLoginEnd, sprintf(txtLoginEndLabel, name, login.Remote), true
		t.Rows = append(t.Rows, []cell{
			{Text: name, Sub: strings.Join(about, " · ")},
			{Time: login.Created, Sub: login.Remote},
			used(login.LastUsed),
			{Time: login.Expires},
			{Buttons: []button{b}},
		})
	}
	return t
}

// endLogins ends one of the person's logins, or all of them.
func (x *exchange) endLogins() error {
	id, question := x.r.PostForm.Get("id"), txtLoginEndAsk
	if id == "" {
		question = txtLoginEndAllAsk
	}
	if !x.confirmed() {
		return x.ask(question, txtLoginEnd, "sessions")
	}
	m, who, err := x.manager()
	if err != nil {
		return err
	}
	mine, err := x.loginsOf("")
	if err != nil {
		return err
	}
	for _, login := range mine {
		if id != "" && login.ID != id {
			continue
		}
		if err := m.RevokeIdentityToken(x.r.Context(), who, login.ID); err != nil && management.AsError(err).Code != management.CodeNotFound {
			return err
		}
	}
	return x.goTo("sessions?done=session-ended")
}
