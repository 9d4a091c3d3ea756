package portal

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// CSRFHeader is the header in which a page of this host shows, with a request
// that changes something, that it is one.
const CSRFHeader = "X-Csrf-Token"

// credentialSession is the kind of credential that a session is.
const credentialSession = "session"

var (
	_ authn.Authenticator = (*Sessions)(nil)
	_ authn.Ambient       = (*Sessions)(nil)
	_ authn.Rechecker     = (*Sessions)(nil)
)

// Authenticate implements [authn.Authenticator]: sessions come by cookie only.
func (s *Sessions) Authenticate(context.Context, *authn.Credential) (*authn.Principal, error) {
	return nil, authn.ErrNotMine
}

// AuthenticateAmbient implements [authn.Ambient]: a browser that is signed in
// may read, which is what the web interfaces of registries do. It may write if
// the request provably comes from a page of this host.
func (s *Sessions) AuthenticateAmbient(_ context.Context, c *authn.Credential) (*authn.Principal, error) {
	session, err := s.find(c.Evidence.Header)
	if errors.Is(err, errNoSession) {
		return nil, authn.ErrNotMine
	}
	if err != nil {
		return nil, err
	}
	if c.Evidence.Method != http.MethodGet && c.Evidence.Method != http.MethodHead && !s.sameOrigin(session, c.Evidence.Header) {
		return nil, fmt.Errorf("%w: %w: a session may not write unless a page of this host asks (Sec-Fetch-Site, Origin or %s)", authn.ErrInvalid, authn.ErrCrossSite, CSRFHeader)
	}
	s.touch(session.ID, session.Record)
	return session.Principal, nil
}

// Recheck implements [authn.Rechecker]: what a session was exchanged for ends
// with the session.
func (s *Sessions) Recheck(p *authn.Principal, _ *authn.Credential) error {
	id := p.OriginID
	if p.Origin == "" {
		id = p.CredentialID
	}
	item, ok := s.options.State.Sessions.Get(id)
	if !ok {
		return fmt.Errorf("%w: the session has ended", authn.ErrDisabled)
	}
	now, err := s.principal(item)
	if err != nil {
		return err
	}
	if now.Identity() != p.Identity() {
		return fmt.Errorf("%w: the session is somebody else's", authn.ErrDisabled)
	}
	return nil
}

// sameOrigin reports whether a request proves that a page of this host sends
// it: by what browsers say of requests and pages cannot change, or by a token
// that only pages of this host can read.
func (s *Sessions) sameOrigin(session *Session, h http.Header) bool {
	if token := h.Get(CSRFHeader); token != "" {
		return session.goodToken(token)
	}
	if site := h.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := h.Get("Origin")
	pages := cmp.Or(s.options.Config.URL, s.options.PublicURL)
	return pages != "" && origin == pages
}

// csrfToken returns the token of the session's forms.
func (s *Session) csrfToken() string {
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Session) goodToken(token string) bool {
	return hmac.Equal([]byte(token), []byte(s.csrfToken()))
}
