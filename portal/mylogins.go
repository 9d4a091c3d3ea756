package portal

import (
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// loginBlocks show the identity tokens of the person: what `docker login` and
// its like keep.
func (x *exchange) loginBlocks() []block {
	if x.portal.options.Logins == nil {
		return nil
	}
	st, now := x.portal.options.State, x.portal.options.Now()
	var mine []*state.Item[state.IdentityToken]
	for item := range st.IdentityTokens.All() {
		if item.Value.User == x.session.Record.User && !item.Value.Ended(now) {
			mine = append(mine, item)
		}
	}
	slices.SortFunc(mine, func(a, b *state.Item[state.IdentityToken]) int { return b.Value.Created.Compare(a.Value.Created) })
	t := &table{Caption: txtLoginsCaption, Columns: []string{txtLoginClient, txtAddress, txtSince, txtLastUsed, txtExpires, ""}, Empty: txtNoLogins}
	for _, item := range mine {
		v := item.Value
		last := cell{Text: txtNever}
		if used, ok := st.LastUsed(st.IdentityTokens.Kind(), item.ID); ok {
			last = cell{Time: used.At, Sub: used.Remote}
		}
		name := orUnknown(v.ClientID)
		t.Rows = append(t.Rows, []cell{
			{Text: name, Sub: item.ID},
			{Text: v.Remote, Code: true},
			{Time: v.Created},
			last,
			{Time: v.Expires},
			{Buttons: []button{{Text: txtLoginEnd, Action: x.path("logins/end"), Hidden: []field{{Name: "id", Value: item.ID}}, Label: sprintf(txtLoginEndLabel, name, v.Remote), Danger: true}}},
		})
	}
	all := block{Heading: txtLogins, Text: txtLoginsNote, Table: t}
	if len(mine) > 1 {
		all.Form = &form{Action: x.path("logins/end"), Submit: txtLoginEndAll, Danger: true}
	}
	return []block{all}
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
	st, mine := x.portal.options.State, x.session.Record.User
	var tx state.Tx
	for item := range st.IdentityTokens.All() {
		if v := item.Value; v.User == mine && (id == "" || item.ID == id) {
			state.Delete(&tx, st.IdentityTokens, item.ID, state.Unchanged(item))
			tx.Note(x.actor(), "identity_token.revoke", state.Object{Kind: "identity_token", ID: item.ID}, v.View(), nil)
		}
	}
	if err := st.Commit(x.r.Context(), &tx); err != nil {
		return err
	}
	return x.goTo("sessions?done=session-ended")
}
