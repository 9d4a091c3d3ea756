package demoidp

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"time"
)

// Cookies know no ports: the name must not collide with that of a gateway on
// the same loopback address.
const (
	cookieName      = "demoidp_session"
	sessionLifetime = 8 * time.Hour
)

// session is somebody who has signed in.
type session struct {
	user string
	id   string // the claim "sid"; clients know it, other than the cookie's value
	at   time.Time
}

// session returns who is signed in in the browser of r.
func (p *Provider) session(r *http.Request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions.get(c.Value, p.cfg.Now())
}

// signIn checks the posted login form and starts a session.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) (session, bool) {
	name := r.PostFormValue("username")
	if r.Method != http.MethodPost || !p.checkPassword(name, r.PostFormValue("password")) {
		return session{}, false
	}
	now := p.cfg.Now()
	s, cookie := session{user: name, id: rand.Text(), at: now}, rand.Text()
	p.mu.Lock()
	p.sessions.put(cookie, s, now, now.Add(sessionLifetime))
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: cookie, Path: p.base + "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return s, true
}

func (p *Provider) checkPassword(name, password string) bool {
	u, ok := p.cfg.Users[name]
	return equal(u.Password, password) && ok && password != ""
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
