package portal

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

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
		return nil //nolint:nilerr // an address that cannot be read leads to the start
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

// codeLetters are those of RFC 8628 §6.1: no vowels, so that no words come
// about, and none that look alike. Eight of them are 34 bits.
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

const codeLength = 8

// newUserCode makes a code for people.
func newUserCode() string {
	code := make([]byte, 0, codeLength)
	fair := byte(256 / len(codeLetters) * len(codeLetters))
	for len(code) < codeLength {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if b < fair && len(code) < codeLength {
				code = append(code, codeLetters[int(b)%len(codeLetters)])
			}
		}
	}
	return string(code)
}

// spelled is a code as people read it: "BCDF-GHJK".
func spelled(code string) string {
	if len(code) != codeLength {
		return code
	}
	return code[:4] + "-" + code[4:]
}

// userCode reads a code as people write it; empty if it is none.
func userCode(text string) string {
	code := strings.Map(func(r rune) rune {
		switch {
		case r == '-' || unicode.IsSpace(r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - ('a' - 'A')
		}
		return r
	}, text)
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return ""
	}
	return code
}

// Logging devices in.
const (
	txtDevice         = "Log in a device"
	txtDeviceLead     = "Enter the code that the program shows."
	txtDeviceCode     = "Code"
	txtDeviceContinue = "Continue"
	txtDeviceTitle    = "Allow this login?"
	txtDeviceAsk      = "A program wants to access the registry as %s. Allow it only if you have just started it yourself and it shows the same code."
	txtDeviceWho      = "Request"
	txtDeviceHost     = "Registry"
	txtDeviceMachine  = "Machine (reported by the program)"
	txtDeviceProgram  = "Program (reported)"
	txtDeviceRights   = "Permissions"
	txtDeviceAll      = "everything you can do"
	txtDeviceSince    = "Requested"
	txtDeviceHere     = "the address of this browser"
	txtDeviceWarn     = "If someone sent you this link or code, deny it: they would get your access."
	txtDeviceApprove  = "Allow"
	txtDeviceRefuse   = "Deny"

	txtDeviceElsewhere = "not the address of this browser, which is %s: deny it unless you know that machine"

	txtDeviceOther = "the program asked another host, %s: deny it unless you know that name"

	txtDeviceApproved = "Done. The device is logged in; you can close this page."
	txtDeviceRefused  = "Denied. The device did not get access."
	txtDeviceToken    = "%s, %s"
	txtUnknownClient  = "unknown"

	txtCodeUnknownTitle = "Unknown code"
	txtCodeUnknown      = "The code is wrong, was used already or is too old. Start the login on the device again."
	txtCodesManyTitle   = "Too many wrong codes"
	txtCodesMany        = "Wait ten minutes, then start the login on the device again."

	txtDeviceMany    = "Too many logins are waiting. Try again in a minute."
	txtDeviceOver    = "The code has expired. Start again."
	txtDeviceWaiting = "The login has not been approved yet."
	txtDeviceDenied  = "The login was denied in the browser."

	txtLogins         = "Docker logins"
	txtLoginsNote     = "What docker and other clients keep instead of your password."
	txtLoginsCaption  = "Clients that are logged in as you"
	txtLoginClient    = "Client"
	txtLoginSince     = "Logged in"
	txtLoginOnly      = "only for %s"
	txtUserLogins     = "Clients that are logged in as the user"
	txtNoLogins       = "No client is logged in as you."
	txtLoginEnd       = "Log out"
	txtLoginEndLabel  = "Log out %s at %s"
	txtLoginEndAll    = "Log out all of them"
	txtLoginEndAsk    = "The client has to log in again."
	txtLoginEndAllAsk = "All of these clients have to log in again."
)

// Confirming what creates a credential.
const (
	txtConfirmTitle    = "Confirm that it is you"
	txtConfirmLead     = "To create a credential, sign in again at %s. You come back here afterwards; what you entered is kept."
	txtConfirmContinue = "Continue to %s"
	txtConfirmNote     = "Check what will be created. If you did not ask for it, cancel and tell the registry's administrators."

	txtConfirmStaleTitle = "Nothing was created"
	txtConfirmStale      = "This confirmation took too long, was used already, or belongs to another session. Open the page again and repeat what you did."
	txtConfirmOtherTitle = "Nothing was created"
	txtConfirmOther      = "You signed in again as another user. Sign out here first if you want to work as that user."
	txtConfirmOldTitle   = "Nothing was created"
	txtConfirmOld        = "The identity provider did not confirm that you have just signed in. Try again; if it happens again, tell the registry's administrators. Administrators: see reauthenticate in the documentation of the portal."
	txtConfirmNoProvider = "Credentials are created after signing in again, and nobody can sign in with your identity provider any more."

	txtTokenAsk       = "Create this access token?" //nolint:gosec // words for people, no credential
	txtRobotAsk       = "Create this robot?"
	txtRotateQuestion = "Make a new secret for this robot?"
)
