package portal

import (
	"slices"

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
	_, err := x.portal.options.Sessions.End(x.r.Context(), x.actor(), "session.end", func(v *state.Session, at string) bool {
		return v.User == mine && at != x.session.ID && (id == "" || at == id)
	})
	if err != nil {
		return err
	}
	return x.goTo("sessions?done=session-ended")
}
