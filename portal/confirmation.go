package portal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

const (
	// confirmLife is how long a form waits for its confirmation, and how long
	// the last page may then stay open.
	confirmLife = 15 * time.Minute
	// maxConfirmations is how many of a person's forms wait at once, maxKept
	// how long one may be, in bytes.
	maxConfirmations = 10
	maxKept          = 16 << 10
	// confirmLeeway is how far the provider's clock may be behind ours.
	confirmLeeway = time.Minute
)

var (
	errConfirmStale   = &pageError{http.StatusBadRequest, "stale", txtConfirmStaleTitle, txtConfirmStale, false}
	errFormLong       = &pageError{http.StatusRequestEntityTooLarge, "too-large", txtFormTitle, txtFormLong, false}
	errConfirmOther   = &pageError{http.StatusForbidden, "other-user", txtConfirmOtherTitle, txtConfirmOther, false}
	errConfirmOld     = &pageError{http.StatusForbidden, "not-confirmed", txtConfirmOldTitle, txtConfirmOld, false}
	errConfirmNoLogin = &pageError{http.StatusForbidden, "not-confirmed", txtConfirmOldTitle, txtConfirmNoProvider, false}
)

// proposal is what a form would create, for the person to confirm.
type proposal struct {
	question, lead string
	facts          []fact
	button         string
	back           string // the page of the form
	refuse         *other // a second button
}

// propose keeps a form that creates a credential until the person has signed
// in again. That begins with a page and not with a redirect: browsers hold
// redirects of a form to the hosts that forms may be sent to.
func (x *exchange) propose(at route) error {
	if !x.topLevel() {
		return errCrossSite
	}
	if _, err := at.proposal(x); err != nil {
		return err
	}
	now := x.portal.options.Now()
	form := maps.Clone(x.r.PostForm)
	delete(form, "csrf")
	if len(form.Encode()) > maxKept {
		return errFormLong
	}
	v := &state.Confirmation{User: x.session.Record.User, Session: x.session.ID, Path: at.path, Form: form, Created: now.UTC(), Expires: now.Add(confirmLife).UTC()}
	id := rand.Text()
	if err := x.keepConfirmation(id, v, state.Absent); err != nil {
		return err
	}
	from, err := x.ownProvider()
	if err != nil {
		return err
	}
	next := x.path("confirm") + "?id=" + id
	x.w.Header().Set("Refresh", "0; url="+next)
	return x.show(view{Title: txtConfirmTitle, Lead: sprintf(txtConfirmLead, from.name), Blocks: []block{
		{Links: []link{{Text: sprintf(txtConfirmContinue, from.name), Href: next, Primary: true}}},
	}})
}

// keepConfirmation writes one down, in the place of the person's oldest if
// there are too many.
func (x *exchange) keepConfirmation(id string, v *state.Confirmation, condition store.Precondition) error {
	st := x.portal.options.State
	var mine []*state.Item[state.Confirmation]
	for item := range st.Confirmations.All() {
		if item.Value.User == v.User && item.ID != id {
			mine = append(mine, item)
		}
	}
	slices.SortFunc(mine, func(a, b *state.Item[state.Confirmation]) int { return b.Value.Created.Compare(a.Value.Created) })
	var tx state.Tx
	for i, item := range mine {
		if i >= maxConfirmations-1 {
			state.Delete(&tx, st.Confirmations, item.ID, store.Precondition{})
		}
	}
	state.Put(&tx, st.Confirmations, id, v, condition)
	return st.Commit(x.r.Context(), &tx)
}

// topLevel reports whether a browser shows the answer as a page of its own.
// Scripts cannot read those: they can neither frame them (X-Frame-Options) nor
// hold on to their windows, which a visit to the provider has cut off
// (Cross-Origin-Opener-Policy).
func (x *exchange) topLevel() bool {
	dest := x.r.Header.Get("Sec-Fetch-Dest")
	return navigates(x.r) && (dest == "" || dest == "document")
}

// ownProvider is where the session's person has signed in.
func (x *exchange) ownProvider() (*provider, error) {
	for _, p := range x.portal.providers {
		if p.Config().IdentityIssuer() == x.session.Record.Issuer {
			return p, nil
		}
	}
	return nil, errConfirmNoLogin
}

// confirm sends the person to the provider, which has to ask for the password
// or what it has instead.
func (x *exchange) confirm() error {
	if !x.topLevel() {
		return errCrossSite
	}
	p, now := x.portal, x.portal.options.Now()
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	from, err := x.ownProvider()
	if err != nil {
		return err
	}
	id := x.query("id")
	item, ok := p.options.State.Confirmations.Get(id)
	if !ok || item.Value.Session != x.session.ID || item.Value.Button != "" || item.Value.Ended(now) {
		return errConfirmStale
	}
	a := newAttempt(from.id, "", now)
	a.Confirms = id
	next := *item.Value
	next.Attempt, next.Asked = hashed(a.derive("confirm")), now.UTC()
	var tx state.Tx
	state.Put(&tx, p.options.State.Confirmations, id, &next, state.Unchanged(item))
	if err := p.options.State.Commit(x.r.Context(), &tx); err != nil {
		return err
	}
	return x.sendWith(a, from, base, secure)
}

// signedInAgain shows what is to be confirmed to a person who has just signed
// in again.
func (x *exchange) signedInAgain(a *attempt, in *authn.SignedIn) error {
	p, now := x.portal, x.portal.options.Now()
	item, ok := p.options.State.Confirmations.Get(a.Confirms)
	if !ok || x.session == nil || item.Value.Session != x.session.ID || item.Value.Button != "" || item.Value.Ended(now) ||
		!hmac.Equal([]byte(item.Value.Attempt), []byte(hashed(a.derive("confirm")))) {
		return errConfirmStale
	}
	if in.Principal.Identity().ID() != x.session.Record.User {
		return errConfirmOther
	}
	if !p.freshly(in, item.Value.Asked) {
		p.options.Log.Warn("a sign-in does not confirm anything: the provider does not say that it has asked the person (auth_time)",
			"issuer", x.session.Record.Issuer, "user", x.principal().Name, "auth_time", in.AuthTime)
		return errConfirmOld
	}
	if err := p.options.Sessions.renew(x.r.Context(), x.session, in); err != nil {
		return err
	}
	next := *item.Value
	return x.lastPage(item.ID, &next, state.Unchanged(item))
}

// freshly reports whether the provider has asked somebody since, as far as the
// configuration wants it to be known.
func (p *Portal) freshly(in *authn.SignedIn, since time.Time) bool {
	return p.options.Config.Reauthenticate == authn.SwitchOff || in.AuthTime.After(since.Add(-confirmLeeway))
}

// lastPage shows what a form would create, with the button that does it. What
// the button carries is on this page only and good once.
func (x *exchange) lastPage(id string, v *state.Confirmation, condition store.Precondition) error {
	if !x.topLevel() {
		return errCrossSite
	}
	at := x.portal.routeOf(v.Path)
	if at == nil {
		return errConfirmStale
	}
	x.r.PostForm = url.Values(v.Form)
	asks, err := at.proposal(x)
	if err != nil {
		return err
	}
	now := x.portal.options.Now()
	button := newSecret()
	v.Button, v.Attempt, v.Expires = hashed(button), "", now.Add(confirmLife).UTC()
	if err := x.keepConfirmation(id, v, condition); err != nil {
		return err
	}
	f := &form{Action: x.path("confirm"), Submit: asks.button, Cancel: x.path(asks.back), Fields: []field{
		{Kind: "hidden", Name: "id", Value: id}, {Kind: "hidden", Name: "confirmation", Value: button},
	}}
	if asks.refuse != nil {
		f.Cancel, f.Other = "", asks.refuse
		for name, values := range v.Form {
			f.Fields = append(f.Fields, field{Kind: "hidden", Name: name, Value: values[0]})
		}
	}
	return x.show(view{Title: asks.question, Lead: asks.lead, Blocks: []block{{Facts: asks.facts}, {Form: f}}})
}

// confirmed does what a person has confirmed, once.
func (x *exchange) confirmedForm() error {
	if !x.topLevel() {
		return errCrossSite
	}
	st, id := x.portal.options.State, x.r.PostForm.Get("id")
	item, ok := st.Confirmations.Get(id)
	if !ok || item.Value.Session != x.session.ID || item.Value.Button == "" || item.Value.Ended(x.portal.options.Now()) ||
		!hmac.Equal([]byte(item.Value.Button), []byte(hashed(x.r.PostForm.Get("confirmation")))) {
		return errConfirmStale
	}
	at := x.portal.routeOf(item.Value.Path)
	if at == nil {
		return errConfirmStale
	}
	var tx state.Tx
	state.Delete(&tx, st.Confirmations, id, state.Unchanged(item))
	err := st.Commit(context.WithoutCancel(x.r.Context()), &tx)
	if errors.Is(err, store.ErrConflict) {
		return errConfirmStale
	}
	if err != nil {
		return err
	}
	x.r.PostForm, x.fresh = url.Values(item.Value.Form), true
	return at.serve(x)
}

// routeOf returns the route of a form that creates a credential.
func (p *Portal) routeOf(path string) *route {
	i := slices.IndexFunc(p.routes, func(r route) bool { return r.path == path && r.proposal != nil })
	if i < 0 {
		return nil
	}
	return &p.routes[i]
}

// confirmed reports whether a form that destroys something was confirmed.
func (x *exchange) confirmed() bool { return x.r.PostForm.Get("confirmed") == "yes" }

// ask asks once before something is destroyed: it shows the form again, with
// all that was sent and one more field.
func (x *exchange) ask(question, button, back string) error {
	f := &form{Action: x.r.URL.Path, Submit: button, Danger: true, Cancel: x.path(back)}
	names := make([]string, 0, len(x.r.PostForm))
	for name := range x.r.PostForm {
		if name != "csrf" && name != "confirmed" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range x.r.PostForm[name] {
			f.Fields = append(f.Fields, field{Kind: "hidden", Name: name, Value: value})
		}
	}
	f.Fields = append(f.Fields, field{Kind: "hidden", Name: "confirmed", Value: "yes"})
	return x.show(view{Title: txtSureTitle, Lead: question, Blocks: []block{{Form: f}}})
}

// mended is a form that has to be corrected before it can be confirmed.
type mended struct {
	problem string
	show    func(problem string) error
}

func (e *mended) Error() string { return e.problem }

// checked returns what is wrong with a form, as an error that shows it again
// with what was typed in if a person can put it right.
func checked(err error, show func(problem string) error) error {
	if err == nil {
		return nil
	}
	if text := correctable(err); text != "" {
		return &mended{text, show}
	}
	return err
}

// proposeToken says which access token a form would create.
func (x *exchange) proposeToken() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	in, err := x.newToken()
	if err != nil {
		return nil, err
	}
	if err := checked(m.CheckToken(who, in), x.showTokens); err != nil {
		return nil, err
	}
	rights := cell{Text: txtTokenAll}
	if in.Permissions != nil {
		rights = cell{Text: permissionsText(*in.Permissions), Code: true}
	}
	return &proposal{
		question: txtTokenAsk, lead: txtConfirmNote, button: txtTokenCreate, back: "tokens",
		facts: []fact{{txtItsName, cell{Text: in.Name}}, {txtExpires, cell{Time: *in.Expires}}, {txtTokenGoodFor, rights}},
	}, nil
}

// proposeRobot says which robot a form would create.
func (x *exchange) proposeRobot() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	in, problem := x.newRobotInput()
	if problem != "" {
		return nil, &mended{problem, x.robotForm}
	}
	if err := checked(m.CheckRobot(who, in), x.robotForm); err != nil {
		return nil, err
	}
	return &proposal{
		question: txtRobotAsk, lead: txtConfirmNote, button: txtRobotCreate, back: "robots",
		facts: []fact{
			{txtItsName, cell{Text: in.Name}},
			{txtRobotMay, cell{Text: permissionsText(in.Permissions), Code: true}},
			{txtExpires, x.expiry(in.Expires)},
			{txtFrom, cell{Text: orAnywhere(in.From)}},
		},
	}, nil
}

// proposeRotation says which robot gets a new secret.
func (x *exchange) proposeRotation() (*proposal, error) {
	m, who, err := x.manager()
	if err != nil {
		return nil, err
	}
	r, err := m.Robot(who, x.form("name", ""))
	if err != nil {
		return nil, err
	}
	overlap, err := x.overlap()
	if err != nil {
		return nil, err
	}
	lead := txtConfirmNote
	if overlap == 0 {
		lead = sprintf(txtRotateAsk, r.Name)
	}
	return &proposal{
		question: txtRotateQuestion, lead: lead, button: txtRotateDo, back: "robots/one?name=" + escape(r.Name),
		facts: []fact{{txtItsName, cell{Text: r.Name}}, {txtRobotMay, cell{Text: permissionsText(r.Permissions), Code: true}}},
	}, nil
}
