package portal

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

var (
	errCodeUnknown = &pageError{http.StatusNotFound, "unknown-code", txtCodeUnknownTitle, txtCodeUnknown, false}
	errCodesMany   = &pageError{http.StatusTooManyRequests, "too-many-codes", txtCodesManyTitle, txtCodesMany, false}
)

// ownDeviceRoutes are none if devices cannot be logged in here.
func (p *Portal) ownDeviceRoutes() []route {
	if p.options.Config.DeviceLogin == authn.SwitchOff {
		return nil
	}
	return deviceRoutes()
}

// deviceRoutes are those of clients that log a device in, and the page where
// people let them.
func deviceRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{method: post, path: "device/code", serve: deviceAnswer((*exchange).deviceCode), machine: true},
		{method: post, path: "device/token", serve: deviceAnswer((*exchange).deviceToken), machine: true},
		{method: post, path: "revoke", serve: deviceAnswer((*exchange).revoke), machine: true},
		{method: get, path: "device", serve: (*exchange).device, for_: signedIn},
		{method: post, path: "device/approve", serve: func(x *exchange) error { return x.decide(state.DeviceApproved) }, for_: signedIn, proposal: (*exchange).proposeDevice},
		{method: post, path: "device/refuse", serve: func(x *exchange) error { return x.decide(state.DeviceRefused) }, for_: signedIn},
	}
}

// device shows who wants to come in, or asks for the code.
func (x *exchange) device() error {
	if done := x.r.URL.Query().Get("done"); done != "" {
		text := txtDeviceRefused
		if done == "approved" {
			text = txtDeviceApproved
		}
		return x.show(view{Title: txtDevice, Notice: text, Blocks: []block{{Links: []link{{Text: txtSessions, Href: x.path("sessions")}}}}})
	}
	text := cmp.Or(x.r.URL.Query().Get("user_code"), x.r.URL.Query().Get("q"))
	if strings.TrimSpace(text) == "" {
		ask := &search{Action: x.path("device"), Label: txtDeviceCode, Submit: txtDeviceContinue}
		return x.show(view{Title: txtDevice, Lead: txtDeviceLead, Blocks: []block{{Table: &table{Search: ask}}}})
	}
	item, err := x.findDevice(text)
	if err != nil {
		return err
	}
	decide := &form{
		Action: x.path("device/approve"), Submit: txtDeviceContinue, Fields: []field{{Name: "user_code", Kind: "hidden", Value: item.ID}},
		Other: x.deviceRefusal(),
	}
	return x.show(view{Title: txtDeviceTitle, Lead: sprintf(txtDeviceAsk, x.principal().Name), Blocks: []block{
		{Heading: txtDeviceWho, Facts: x.deviceFacts(item)}, {Text: txtDeviceWarn, Form: decide},
	}})
}

func (x *exchange) deviceRefusal() *other {
	return &other{Text: txtDeviceRefuse, Action: x.path("device/refuse"), Danger: true}
}

// deviceFacts say who wants to come in, and from where.
func (x *exchange) deviceFacts(item *state.Item[state.DeviceLogin]) []fact {
	v := item.Value
	rights := cell{Text: txtDeviceAll}
	if v.Limits != nil {
		lines := make([]string, len(v.Limits))
		for i, l := range v.Limits {
			lines[i] = l.Name + " " + strings.Join(l.Actions, " ")
		}
		rights = cell{Text: strings.Join(lines, "\n"), Code: true}
	}
	from := cell{Text: v.Remote, Code: true, Sub: txtDeviceHere}
	if v.Remote != x.client().remote.String() {
		from.Sub = sprintf(txtDeviceElsewhere, x.client().remote)
	}
	host := cell{Text: x.host(), Code: true}
	if v.Host != "" && !strings.EqualFold(v.Host, host.Text) && !strings.EqualFold(v.Host, x.r.Host) {
		host.Sub = sprintf(txtDeviceOther, v.Host)
	}
	return []fact{
		{txtDeviceCode, cell{Text: spelled(item.ID), Code: true}},
		{txtDeviceHost, host},
		{txtDeviceMachine, cell{Text: deviceName(v)}},
		{txtDeviceProgram, cell{Text: orUnknown(v.ClientID), Sub: v.Agent}},
		{txtAddress, from},
		{txtDeviceRights, rights},
		{txtDeviceSince, cell{Time: v.Created}},
	}
}

// proposeDevice says which device would be let in.
func (x *exchange) proposeDevice() (*proposal, error) {
	item, err := x.findDevice(x.form("user_code", ""))
	if err != nil {
		return nil, err
	}
	return &proposal{
		question: txtDeviceTitle, lead: sprintf(txtDeviceAsk, x.principal().Name) + " " + txtDeviceWarn, facts: x.deviceFacts(item),
		button: txtDeviceApprove, back: "device", refuse: x.deviceRefusal(),
	}, nil
}

// approves reports whether somebody who is not signed in yet is on the way to
// let a device in. Signing in is then what they would be asked for again a
// moment later.
func (x *exchange) approves(back string) bool {
	u, err := url.Parse(back)
	return err == nil && u.Path == x.path("device") && u.Query().Get("user_code") != "" && x.portal.options.Config.DeviceLogin != authn.SwitchOff
}

// deviceFirst leads somebody who has just signed in for it to the last page of
// letting a device in.
func (x *exchange) deviceFirst(a *attempt, in *authn.SignedIn, secret string, plain bool) error {
	p, now := x.portal, x.portal.options.Now()
	session, err := p.options.Sessions.bySecret(secret, plain)
	if err != nil {
		return err
	}
	x.session = session
	u, err := url.Parse(a.Return)
	if err != nil || !p.freshly(in, time.Unix(a.Started, 0)) {
		http.Redirect(x.w, x.r, localPath(a.Return, p.prefix), http.StatusSeeOther)
		return nil
	}
	return x.lastPage(rand.Text(), &state.Confirmation{
		User: session.Record.User, Session: session.ID, Path: "device/approve", Form: map[string][]string{"user_code": {u.Query().Get("user_code")}}, Created: now.UTC(),
	}, state.Absent)
}

func orUnknown(text string) string {
	if text == "" {
		return txtUnknownClient
	}
	return text
}

// findDevice returns the login with a code that somebody typed in or was sent
// with a link. Whoever guesses is stopped.
func (x *exchange) findDevice(text string) (*state.Item[state.DeviceLogin], error) {
	p, now, who := x.portal, x.portal.options.Now(), x.session.Record.User
	if p.codesWrong.over(who, wrongCodes, now) {
		return nil, errCodesMany
	}
	item, ok := p.options.State.DeviceLogins.Get(userCode(text))
	if !ok || item.Value.Ended(now) || item.Value.Decision != "" {
		p.codesWrong.take(who, wrongCodes, now)
		return nil, errCodeUnknown
	}
	return item, nil
}

// decide lets a client in, or not.
func (x *exchange) decide(decision state.DeviceDecision) error {
	item, err := x.findDevice(x.r.PostForm.Get("user_code"))
	if err != nil {
		return err
	}
	next := *item.Value
	next.Decision, next.User, next.Session, next.ProviderSession = decision, x.session.Record.User, x.session.ID, x.session.Record.ProviderSession
	var tx state.Tx
	state.Put(&tx, x.portal.options.State.DeviceLogins, item.ID, &next, state.Unchanged(item))
	tx.Note(x.actor(), "device_login.decide", state.Object{Kind: "device_login", ID: item.ID, Name: next.Name}, nil, next.View())
	switch err := x.portal.options.State.Commit(x.r.Context(), &tx); {
	case errors.Is(err, store.ErrConflict):
		return errCodeUnknown
	case err != nil:
		return err
	}
	x.portal.options.Log.Info("a device login was decided", "decision", string(decision), "user", x.principal().Name, "client_ip", next.Remote)
	return x.goTo("device?done=" + string(decision))
}
