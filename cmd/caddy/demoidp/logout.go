package demoidp

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// logoutEvent marks a logout token (OpenID Connect Back-Channel Logout §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// serveLogout ends the browser's session, tells the clients, and sends the
// browser on (OpenID Connect RP-Initiated Logout §2).
func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request) {
	if s, ok := p.session(r); ok {
		p.end(r.Context(), func(other session) bool { return other.id == s.id })
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: p.base + "/", MaxAge: -1, HttpOnly: true})
	to := r.FormValue("post_logout_redirect_uri")
	for _, c := range p.cfg.Clients {
		if slices.Contains(c.PostLogoutURIs, to) {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
	}
	page{Title: "Signed out"}.write(w, http.StatusOK)
}

// Logout ends all sessions of a user, as an administrator of a provider can,
// and tells the clients. It returns when they have answered.
func (p *Provider) Logout(ctx context.Context, user string) {
	p.end(ctx, func(s session) bool { return s.user == user })
}

// end removes the sessions that match, with the refresh tokens that came of
// them, and sends a logout token to every client.
func (p *Provider) end(ctx context.Context, match func(session) bool) {
	var ended []session
	p.mu.Lock()
	p.sessions.removeIf(func(s session, _ time.Time) bool {
		gone := match(s)
		if gone {
			ended = append(ended, s)
		}
		return gone
	})
	p.refresh.removeIf(func(a authorization, _ time.Time) bool { return match(a.session) })
	p.mu.Unlock()
	for _, s := range ended {
		for id, c := range p.cfg.Clients {
			if c.BackchannelURI != "" {
				p.notify(ctx, id, c.BackchannelURI, s)
			}
		}
	}
}

// notify posts one logout token. A client that cannot be reached is not asked
// again: this provider has no memory of what it could not deliver.
func (p *Provider) notify(ctx context.Context, client, uri string, s session) {
	token := p.MintWithHeader(algRSA, map[string]any{"typ": "logout+jwt"}, map[string]any{
		"aud": client, "sub": s.user, "sid": s.id, "jti": rand.Text(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	})
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, body)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
