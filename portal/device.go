package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
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
	if a.Status == http.StatusUnauthorized { // of who let the client in, not of the client
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
