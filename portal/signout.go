package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// signOut ends the session here and offers to end the provider's as well.
func (x *exchange) signOut() error {
	s, session := x.portal.options.Sessions, x.session
	base, secure, err := x.portal.base(x.r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
	defer cancel()
	if _, err := s.End(ctx, x.actor(), "session.end", func(_ *state.Session, id string) bool { return id == session.ID }); err != nil {
		return err
	}
	setCookie(x.w, s.cookie, "", secure, 0)
	x.session = nil
	for _, p := range x.portal.providers {
		if p.Config().IdentityIssuer() != session.Record.Issuer {
			continue
		}
		hint := ""
		if s.options.Sealer != nil && len(session.Record.IDToken) > 0 {
			if plain, err := s.options.Sealer.Open(session.Record.IDToken, sessionPlace(session.ID)); err == nil {
				hint = string(plain)
			}
		}
		return x.showSignedOut(p.name, p.SignOutURL(x.r.Context(), hint, base+x.path("signed-out")))
	}
	return x.showSignedOut("", "")
}

// actor is the person as audit events have it.
func (x *exchange) actor() state.Actor {
	from := x.client()
	a := state.Actor{Kind: string(authn.KindUser), Name: x.principal().Name, RequestID: from.requestID}
	if x.session != nil {
		a.ID = x.session.ID
	}
	if from.remote.IsValid() {
		a.Remote = from.remote.String()
	}
	return a
}

// backChannel ends the sessions that a provider says are over (OpenID Connect
// Back-Channel Logout 1.0 §2.5).
func (x *exchange) backChannel() error {
	token := x.r.PostForm.Get("logout_token")
	answer := func(status int, body string) error {
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(status)
		_, _ = x.w.Write([]byte(body))
		return nil
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"no logout token"}`)
	}
	for _, p := range x.portal.providers {
		if p.Config().Issuer != claims.Issuer { // which key to verify with
			continue
		}
		// Whoever hangs up does not end the logout.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), endLimit)
		defer cancel()
		out, err := p.LogoutToken(ctx, token)
		if answers.OfCredential(err).RetryAfter > 0 {
			return answer(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`)
		}
		if err != nil {
			x.portal.options.Log.Warn("logout token refused", "issuer", claims.Issuer, "error", err, "client_ip", x.client().remote.String())
			return answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"the logout token is not valid"}`)
		}
		switch err := x.portal.options.Sessions.SignedOut(ctx, out); {
		case errors.Is(err, state.ErrSpent):
			return answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"the logout token was used before"}`)
		case err != nil:
			x.portal.options.Log.Error("sessions that a provider ended", "issuer", claims.Issuer, "error", err)
			return answer(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`)
		}
		return answer(http.StatusOK, `{}`)
	}
	return answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"unknown issuer"}`)
}

// endLimit is how long ending something may take, whatever becomes of the request.
const endLimit = 20 * time.Second

// SignedOut ends what a provider says is over: sessions and identity tokens of
// one of its sessions, or all of a user's. The logout token is spent with it, on
// all gateways: what was not written down is done when the provider asks again.
// [state.ErrSpent]: that was done before.
func (s *Sessions) SignedOut(ctx context.Context, out *authn.LogoutToken) error {
	// What others have signed in with until now is known.
	if err := s.options.State.Sync(ctx); err != nil {
		return err
	}
	return s.options.State.Again(ctx, func() error { return s.endForProvider(ctx, out) })
}

func (s *Sessions) endForProvider(ctx context.Context, out *authn.LogoutToken) error {
	user := ""
	if out.Subject != "" {
		user = authn.Identity{Kind: authn.KindUser, Issuer: out.Issuer, Subject: out.Subject}.ID()
	}
	concerns := func(issuer, owner, sid string) bool {
		return issuer == out.Issuer && (user == "" || owner == user) && (out.Session == "" || sid == out.Session)
	}
	st := s.options.State
	issuerOf := func(owner string) string {
		if u, ok := st.Users.Get(owner); ok {
			return u.Value.Issuer
		}
		return ""
	}
	var tx state.Tx
	if out.ID != "" {
		if err := st.Spend(&tx, state.SpentID("logout", out.Issuer, out.ID), out.Until); err != nil {
			return err
		}
	}
	for item := range st.Sessions.All() {
		if v := item.Value; concerns(v.Issuer, v.User, v.ProviderSession) {
			state.Delete(&tx, st.Sessions, item.ID, store.Precondition{})
			tx.Note(state.System, "session.end_by_provider", state.Object{Kind: "session", ID: item.ID}, v.View(), nil)
		}
	}
	for item := range st.IdentityTokens.All() {
		if v := item.Value; concerns(issuerOf(v.User), v.User, v.ProviderSession) {
			state.Delete(&tx, st.IdentityTokens, item.ID, store.Precondition{})
			tx.Note(state.System, "identity_token.end_by_provider", state.Object{Kind: "identity_token", ID: item.ID}, nil, nil)
		}
	}
	for item := range st.DeviceLogins.All() { // that would become identity tokens
		if v := item.Value; v.User != "" && concerns(issuerOf(v.User), v.User, v.ProviderSession) {
			state.Delete(&tx, st.DeviceLogins, item.ID, store.Precondition{})
			tx.Note(state.System, "device_login.end_by_provider", state.Object{Kind: "device_login", ID: item.ID, Name: v.Name}, v.View(), nil)
		}
	}
	return st.Commit(ctx, &tx)
}
