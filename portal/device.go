package portal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

const (
	// maxPending is how many logins wait at once, maxPendingFrom how many of
	// them may come from one address; see roomFor.
	maxPending     = 2000
	maxPendingFrom = 20
	// codesPerWindow is how often one address may ask for a code, wrongCodes
	// how many codes one person may get wrong.
	codesPerWindow = 30
	wrongCodes     = 10
	deviceWindow   = 10 * time.Minute
	// pollInterval is how often a client may ask; each time it asks sooner it
	// has to wait this much longer.
	pollInterval = 5 * time.Second
	// maxScope is how long a list of rights may be, in bytes.
	maxScope = 4096
)

// deviceError is an answer to a client that logs a device in (RFC 8628 §3.5,
// RFC 6749 §5.2).
type deviceError struct {
	status            int
	code, description string
	wait              time.Duration
}

func (e *deviceError) Error() string { return e.code + ": " + e.description }

// deviceAnswer answers a client: with JSON, also where it went wrong.
func deviceAnswer(serve func(*exchange) (any, error)) func(*exchange) error {
	return func(x *exchange) error {
		status := http.StatusOK
		answer, err := serve(x)
		if err != nil {
			e := asDeviceError(err)
			if e.status >= 500 {
				x.portal.options.Log.Error("a device cannot be logged in", "error", err)
			}
			if e.wait > 0 {
				x.w.Header().Set("Retry-After", sprintf("%d", int(e.wait/time.Second)))
			}
			status, answer = e.status, map[string]string{"error": e.code, "error_description": e.description}
		}
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(status)
		return json.NewEncoder(x.w).Encode(answer)
	}
}

func asDeviceError(err error) *deviceError {
	e, page := new(deviceError), new(pageError)
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &page):
		return &deviceError{page.status, "invalid_request", page.text, 0}
	}
	a := answer.Of(err)
	if a.Status == http.StatusUnauthorized { // of the person who approved the client, not of the client
		return &deviceError{http.StatusBadRequest, "access_denied", txtDisabled, 0}
	}
	return &deviceError{a.Status, a.OAuth, capital(a.Sentence) + ".", a.RetryAfter}
}

// deviceStarted is what a client gets that begins (RFC 8628 §3.2).
type deviceStarted struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int    `json:"expires_in"`
	Interval   int    `json:"interval"`
}

// deviceCode begins a login: it gives a code to the client and one to people.
func (x *exchange) deviceCode() (any, error) {
	p, from, now := x.portal, x.client(), x.portal.options.Now()
	base, _, err := p.base(x.r)
	if err != nil {
		return nil, err
	}
	limits, err := askedRights(x.r.PostForm.Get("scope"))
	if err != nil {
		return nil, &deviceError{http.StatusBadRequest, "invalid_scope", err.Error(), 0}
	}
	busy := &deviceError{http.StatusTooManyRequests, "slow_down", txtDeviceMany, deviceWindow / 10}
	if !p.codesAsked.take(addressKey(from.remote), codesPerWindow, now) {
		return nil, busy
	}
	replaced, ok := p.roomFor(from.remote, now)
	if !ok {
		return nil, busy
	}
	lifetime := p.options.Config.deviceLifetime()
	v := &state.DeviceLogin{
		ClientID: printable(x.r.PostForm.Get("client_id")), Name: printable(x.r.PostForm.Get("client_name")),
		Remote: from.remote.String(), Agent: printable(from.agent), Host: printable(x.r.Host), Limits: limits, Created: now.UTC(), Expires: now.Add(lifetime).UTC(),
	}
	code, err := x.beginDevice(v, replaced)
	if err != nil {
		return nil, err
	}
	user, _, _ := strings.Cut(code, ".")
	return deviceStarted{
		DeviceCode: code, UserCode: spelled(user), URI: base + x.path("device"),
		Complete:  base + x.path("device") + "?user_code=" + spelled(user),
		ExpiresIn: int(lifetime / time.Second), Interval: int(pollInterval / time.Second),
	}, nil
}

// beginDevice writes a login down under a code that is free, perhaps in the
// place of another one, and returns what the client polls with.
func (x *exchange) beginDevice(v *state.DeviceLogin, replaced *state.Item[state.DeviceLogin]) (code string, err error) {
	const tries = 3
	for range tries {
		user := newUserCode()
		code = user + "." + rand.Text() + rand.Text()
		v.Hash = deviceHash(code)
		var tx state.Tx
		state.Put(&tx, x.portal.options.State.DeviceLogins, user, v, state.Absent)
		if replaced != nil {
			state.Delete(&tx, x.portal.options.State.DeviceLogins, replaced.ID, store.Precondition{})
		}
		if err = x.portal.options.State.Commit(x.r.Context(), &tx); !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return code, err
}

func deviceHash(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

// askedRights reads what a client asks for, as in token requests but with
// patterns: "repository:team/**:pull,push". None: all that the person may.
func askedRights(scope string) ([]authn.Limit, error) {
	if len(scope) > maxScope {
		return nil, errors.New("too many rights are asked for")
	}
	var list []authn.Limit
	for word := range strings.FieldsSeq(scope) {
		kind, rest, _ := strings.Cut(word, ":")
		i := strings.LastIndexByte(rest, ':')
		if i < 0 {
			return nil, errors.New("want rights such as repository:team/**:pull,push")
		}
		list = append(list, authn.Limit{Type: kind, Name: rest[:i], Actions: strings.Split(rest[i+1:], ",")})
	}
	if list == nil {
		return nil, nil
	}
	_, err := authz.NewPermissions("", list)
	return list, err
}

// printable makes a short line of what a client says of itself.
func printable(text string) string {
	const most = 64
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	for i := range line {
		if i > most {
			return line[:i]
		}
	}
	return line
}

// deviceGrant is the grant type of RFC 8628 §3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// deviceToken answers a client that asks whether it was let in.
func (x *exchange) deviceToken() (any, error) {
	p, form, now := x.portal, x.r.PostForm, x.portal.options.Now()
	if form.Get("grant_type") != deviceGrant {
		return nil, &deviceError{http.StatusBadRequest, "unsupported_grant_type", "want " + deviceGrant, 0}
	}
	code := form.Get("device_code")
	user, _, _ := strings.Cut(code, ".")
	item, ok := p.options.State.DeviceLogins.Get(user)
	if answer, made := p.madeBefore(code, now); made && !ok {
		return answer, nil
	}
	if !ok || subtle.ConstantTimeCompare([]byte(item.Value.Hash), []byte(deviceHash(code))) != 1 {
		return nil, &deviceError{http.StatusBadRequest, "expired_token", txtDeviceOver, 0}
	}
	v := item.Value
	switch {
	case v.Ended(now):
		return nil, &deviceError{http.StatusBadRequest, "expired_token", txtDeviceOver, 0}
	case printable(form.Get("client_id")) != v.ClientID:
		return nil, &deviceError{http.StatusBadRequest, "invalid_grant", "the code was given to another client", 0}
	case !p.polls.take(user, now):
		return nil, &deviceError{http.StatusBadRequest, "slow_down", "ask less often", pollInterval}
	case v.Decision == "":
		return nil, &deviceError{http.StatusBadRequest, "authorization_pending", txtDeviceWaiting, 0}
	}
	p.polls.forget(user)
	if v.Decision != state.DeviceApproved {
		if err := x.takeDevice(item); err != nil {
			return nil, err
		}
		return nil, &deviceError{http.StatusBadRequest, "access_denied", txtDeviceDenied, 0}
	}
	return x.deviceSecret(item, code)
}

// deviceUnsure are answers to clients that were let in, of which it is not known
// whether they hold: the store did not answer in time. Clients ask again.
type deviceUnsure struct {
	mu      sync.Mutex
	answers map[string]unsureAnswer // by the hash of the device code
}

type unsureAnswer struct {
	answer deviceIssued
	token  string // id of the identity token
	until  time.Time
}

const (
	keepUnsure = 2 * time.Minute
	maxUnsure  = 1000
)

func (u *deviceUnsure) keep(code string, a unsureAnswer, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for known, at := range u.answers {
		if now.After(at.until) {
			delete(u.answers, known)
		}
	}
	if u.answers == nil {
		u.answers = map[string]unsureAnswer{}
	}
	if len(u.answers) < maxUnsure {
		u.answers[deviceHash(code)] = a
	}
}

// madeBefore returns the answer for a client that was let in without anybody
// knowing, once.
func (p *Portal) madeBefore(code string, now time.Time) (answer deviceIssued, made bool) {
	u := &p.unsure
	u.mu.Lock()
	defer u.mu.Unlock()
	a, known := u.answers[deviceHash(code)]
	if !known || now.After(a.until) {
		return answer, false
	}
	if _, made = p.options.State.IdentityTokens.Get(a.token); made {
		delete(u.answers, deviceHash(code))
	}
	return a.answer, made
}

// takeDevice ends a login that was decided: whoever is first, on whichever
// gateway, has it.
func (x *exchange) takeDevice(item *state.Item[state.DeviceLogin]) error {
	var tx state.Tx
	if err := x.taking(&tx, item); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
	defer cancel()
	err := x.portal.options.State.Commit(ctx, &tx)
	if errors.Is(err, store.ErrConflict) {
		return errDeviceOver
	}
	return err
}

var errDeviceOver = &deviceError{http.StatusBadRequest, "expired_token", txtDeviceOver, 0}

// taking adds to a transaction that a login was taken.
func (x *exchange) taking(tx *state.Tx, item *state.Item[state.DeviceLogin]) error {
	st, v := x.portal.options.State, item.Value
	if now, ok := st.DeviceLogins.Get(item.ID); !ok || now.Revision != item.Revision {
		return errDeviceOver
	}
	who := state.Actor{Kind: string(authn.KindUser), Remote: x.client().remote.String(), RequestID: x.client().requestID, ID: v.Session}
	if u, ok := st.Users.Get(v.User); ok {
		who.Name = u.Value.Name
	}
	state.Delete(tx, st.DeviceLogins, item.ID, state.Unchanged(item))
	tx.Note(who, "device_login.complete", state.Object{Kind: "device_login", ID: item.ID, Name: v.Name}, v.View(), nil)
	return nil
}

// deviceIssued is what a client gets that was let in: an identity token, or a
// personal access token where there are none (RFC 6749 §5.1, RFC 8693 §2.2.1).
type deviceIssued struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	IssuedType   string `json:"issued_token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int    `json:"expires_in,omitempty"`
	Username     string `json:"username"`
	Service      string `json:"service"`
}

// deviceSecret makes the secret for a login that somebody approved, which is taken
// with it.
func (x *exchange) deviceSecret(item *state.Item[state.DeviceLogin], code string) (any, error) {
	o, v := &x.portal.options, item.Value
	// What ends all that the person has ends what was approved before, too.
	p, err := o.State.Owning(v.User, v.Created)
	if err != nil {
		return nil, err
	}
	p.Credential, p.CredentialID, p.Issued = credentialSession, v.Session, v.Created
	if u, ok := o.State.Users.Get(v.User); ok {
		p.Authenticator = u.Value.Authenticator
	}
	answer := deviceIssued{Username: p.Name, Service: o.Service, TokenType: "Bearer", IssuedType: "urn:ietf:params:oauth:token-type:access_token"}
	if o.Logins == nil {
		if err := x.takeDevice(item); err != nil {
			return nil, err
		}
		return x.deviceAccessToken(answer, v, p, item.ID)
	}
	from := x.client()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
	defer cancel()
	secret, err := o.Logins.IssueFor(ctx, p, v.ProviderSession, v.Limits, authn.TokenClient{
		Service: o.Service, ClientID: deviceName(v), Remote: from.remote, Agent: from.agent, RequestID: from.requestID,
	}, func(tx *state.Tx) error { return x.taking(tx, item) })
	answer.AccessToken, answer.RefreshToken = secret, secret
	// It is good for the token endpoint only (RFC 8693 §2.2.1).
	answer.TokenType, answer.IssuedType = "N_A", "urn:ietf:params:oauth:token-type:refresh_token"
	if err != nil {
		if made, parsing := authn.ParseSecret(secret); parsing == nil {
			x.portal.unsure.keep(code, unsureAnswer{answer, made.ID, o.Now().Add(keepUnsure)}, o.Now())
		}
		return nil, err
	}
	return answer, nil
}

func (x *exchange) deviceAccessToken(answer deviceIssued, v *state.DeviceLogin, p *authn.Principal, code string) (any, error) {
	who, err := x.portal.options.Manager.Caller(p)
	if err != nil {
		return nil, err
	}
	from := x.client()
	who.Remote, who.Agent, who.RequestID = from.remote, from.agent, from.requestID
	who.Confirm() // by letting the device in
	in := management.NewToken{TokenSettings: management.TokenSettings{Name: sprintf(txtDeviceToken, deviceName(v), spelled(code))}}
	if v.Limits != nil {
		list := make([]management.Permission, len(v.Limits))
		for i, l := range v.Limits {
			list[i] = management.Permission(l)
		}
		in.Permissions = &list
	}
	made, err := x.portal.options.Manager.CreateToken(x.r.Context(), who, in)
	if err != nil {
		return nil, err
	}
	answer.AccessToken = made.Secret
	if made.Expires != nil {
		answer.ExpiresIn = int(made.Expires.Sub(x.portal.options.Now()) / time.Second)
	}
	return answer, nil
}

// deviceName is how people know the client.
func deviceName(v *state.DeviceLogin) string {
	switch {
	case v.Name != "":
		return v.Name
	case v.ClientID != "":
		return v.ClientID
	}
	return txtUnknownClient
}

// revoke ends an identity token that is shown (RFC 7009). One that is not
// known is none any more, which is what was asked for.
func (x *exchange) revoke() (any, error) {
	if logins := x.portal.options.Logins; logins != nil {
		from := x.client()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
		defer cancel()
		err := logins.Revoke(ctx, x.r.PostForm.Get("token"), authn.TokenClient{Remote: from.remote, RequestID: from.requestID})
		if err != nil {
			return nil, err
		}
	}
	return struct{}{}, nil
}
