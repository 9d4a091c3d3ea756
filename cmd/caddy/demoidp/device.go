package demoidp

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const deviceLifetime = 10 * time.Minute

// device is one run of the device flow: a terminal that waits for somebody to
// sign in elsewhere. Guarded by the provider's lock.
type device struct {
	client  string
	granted *authorization // nil while nobody has
}

// serveDeviceAuth is the device authorization endpoint (RFC 8628 §3.1).
func (p *Provider) serveDeviceAuth(w http.ResponseWriter, r *http.Request) {
	id, ok := p.client(r)
	if !ok {
		fail(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	d, deviceCode, userCode := &device{client: id}, rand.Text(), rand.Text()[:8]
	now := p.cfg.Now()
	p.mu.Lock()
	p.devices.put(deviceCode, d, now, now.Add(deviceLifetime))
	p.pending.put(userCode, d, now, now.Add(deviceLifetime))
	p.mu.Unlock()
	uri := p.cfg.Issuer + "/device"
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": deviceCode, "user_code": userCode,
		"verification_uri":          uri,
		"verification_uri_complete": uri + "?" + url.Values{"user_code": {userCode}}.Encode(),
		"expires_in":                int(deviceLifetime.Seconds()), "interval": 1,
	})
}

// serveDevice is the page where a person enters the code that the terminal
// shows (RFC 8628 §3.3). Only a POST grants anything.
func (p *Provider) serveDevice(w http.ResponseWriter, r *http.Request) {
	form := page{Title: "Connect a device", AskCode: true, Code: r.FormValue("user_code")}
	s, ok := p.session(r)
	if !ok {
		if s, ok = p.signIn(w, r); !ok {
			p.askToSignIn(w, r, form)
			return
		}
	}
	if r.Method != http.MethodPost {
		form.Form, form.SignedIn = true, s.user
		form.write(w, http.StatusOK)
		return
	}
	p.mu.Lock()
	d, ok := p.pending.take(strings.ToUpper(strings.TrimSpace(form.Code)), p.cfg.Now())
	if ok {
		d.granted = &authorization{client: d.client, session: s}
	}
	p.mu.Unlock()
	if !ok {
		form.Form, form.SignedIn, form.Wrong = true, s.user, "Unknown or expired code."
		form.write(w, http.StatusBadRequest)
		return
	}
	page{Title: "Done. Go back to your terminal."}.write(w, http.StatusOK)
}

// redeemDevice answers a poll of the terminal (RFC 8628 §3.5): the code of the
// error is empty if somebody has signed in.
func (p *Provider) redeemDevice(client, code string) (authorization, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.devices.get(code, p.cfg.Now())
	switch {
	case !ok:
		return authorization{}, "expired_token"
	case d.client != client:
		return authorization{}, "invalid_grant"
	case d.granted == nil:
		return authorization{}, "authorization_pending"
	}
	p.devices.take(code, p.cfg.Now())
	return *d.granted, ""
}
