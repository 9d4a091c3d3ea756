package portal

import (
	"context"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// sessions shows the browsers that somebody is signed in with.
func (x *exchange) sessions() error {
	var mine []*state.Item[state.Session]
	now := x.portal.options.Now()
	for item := range x.portal.options.State.Sessions.All() {
		if item.Value.User == x.session.Record.User && !item.Value.Ended(now) {
			mine = append(mine, item)
		}
	}
	slices.SortFunc(mine, func(a, b *state.Item[state.Session]) int { return b.Value.Used.Compare(a.Value.Used) })
	t := &table{Caption: txtSessionsCaption, Columns: []string{txtBrowser, txtAddress, txtSince, txtLastUsed, ""}}
	for _, item := range mine {
		v := item.Value
		browser := cell{Text: browserName(v.Agent)}
		end := cell{Buttons: []button{{Text: txtSignOut, Action: x.path("sessions/end"), Hidden: []field{{Name: "id", Value: item.ID}}, Label: sprintf(txtSignOutLabel, browser.Text, v.Remote), Danger: true}}}
		if item.ID == x.session.ID {
			end = cell{Text: txtThisBrowser, Badge: "good"}
		}
		t.Rows = append(t.Rows, []cell{browser, {Text: v.Remote, Code: true}, {Time: v.Created}, {Time: v.Used}, end})
	}
	t.Rows, t.Next = x.part(t.Rows)
	logins, err := x.loginBlocks()
	if err != nil {
		return err
	}
	return x.show(view{Title: txtSessions, Lead: txtSessionsLead, Notice: x.notice(), Blocks: append([]block{
		{Heading: txtBrowsers, Table: t},
		{Heading: txtOthers, Text: txtOthersNote, Form: &form{Action: x.path("sessions/end"), Submit: txtEndOthers, Danger: true}},
	}, logins...)})
}

// endSessions ends one of the person's sessions, or all but this one.
func (x *exchange) endSessions() error {
	id := x.r.PostForm.Get("id")
	question := txtEndOthersAsk
	if id != "" {
		question = txtEndOneAsk
	}
	if !x.confirmed() {
		return x.ask(question, txtSignOut, "sessions")
	}
	mine := x.session.Record.User
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
	defer cancel()
	_, err := x.portal.options.Sessions.End(ctx, x.actor(), "session.end", func(v *state.Session, at string) bool {
		return v.User == mine && at != x.session.ID && (id == "" || at == id)
	})
	if err != nil {
		return err
	}
	return x.goTo("sessions?done=session-ended")
}

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

// browserName guesses, from what a browser says of itself, how people call it.
// It is for them to recognise their own, and decides nothing.
func browserName(agent string) string {
	name, system := txtUnknownBrowser, ""
	for _, known := range []struct{ sign, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	} {
		if strings.Contains(agent, known.sign) {
			name = known.name
			break
		}
	}
	for _, known := range []struct{ sign, name string }{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, known.sign) {
			system = known.name
			break
		}
	}
	if system == "" {
		return name
	}
	return sprintf(txtBrowserOn, name, system)
}
