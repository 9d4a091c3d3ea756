package portal

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
	if err := x.takeDevice(item); err != nil {
		return nil, err
	}
	if v.Decision != state.DeviceApproved {
		return nil, &deviceError{http.StatusBadRequest, "access_denied", txtDeviceDenied, 0}
	}
	return x.deviceSecret(v, user)
}

// takeDevice ends a login that was decided: whoever is first, on whichever
// gateway, has it.
func (x *exchange) takeDevice(item *state.Item[state.DeviceLogin]) error {
	st, v := x.portal.options.State, item.Value
	who := state.Actor{Kind: string(authn.KindUser), Remote: x.client().remote.String(), RequestID: x.client().requestID, ID: v.Session}
	if u, ok := st.Users.Get(v.User); ok {
		who.Name = u.Value.Name
	}
	var tx state.Tx
	state.Delete(&tx, st.DeviceLogins, item.ID, state.Unchanged(item))
	tx.Note(who, "device_login.complete", state.Object{Kind: "device_login", ID: item.ID, Name: v.Name}, v.View(), nil)
	err := st.Commit(context.WithoutCancel(x.r.Context()), &tx)
	if errors.Is(err, store.ErrConflict) {
		return &deviceError{http.StatusBadRequest, "expired_token", txtDeviceOver, 0}
	}
	return err
}
