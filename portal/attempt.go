package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	attemptCookie = "registry_signin_"
	attemptLife   = 15 * time.Minute
	// maxAttempts is how many sign-ins one browser can have open, maxUsed how
	// many finished ones are remembered.
	maxAttempts = 6
	maxUsed     = 1 << 16
)

// attempt is one sign-in on its way, in one tab. It is kept in a cookie of its
// own, so that the answer of the provider is good in this browser only and the
// tabs do not disturb each other. Everything the provider sees is derived from
// the secret and says nothing about it.
type attempt struct {
	ID       string `json:"-"`
	Secret   string `json:"s"`
	Provider string `json:"p"`           // its id
	Return   string `json:"r,omitempty"` // where to go afterwards
	Started  int64  `json:"t"`           // Unix seconds
	// Confirms is the id of what the sign-in is to confirm.
	Confirms string `json:"c,omitempty"`
	// Device: somebody who was not signed in wants to approve a device.
	Device bool `json:"d,omitempty"`
}

func newAttempt(provider, back string, now time.Time) *attempt {
	return &attempt{ID: rand.Text()[:16], Secret: newSecret(), Provider: provider, Return: back, Started: now.Unix()}
}

// derive returns the attempt's value for a purpose, 43 characters.
func (a *attempt) derive(purpose string) string {
	mac := hmac.New(sha256.New, []byte(a.Secret))
	mac.Write([]byte(purpose + "\x00" + a.ID + "\x00" + a.Provider))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (a *attempt) state() string    { return a.ID + "." + a.derive("state") }
func (a *attempt) nonce() string    { return a.derive("nonce") }
func (a *attempt) verifier() string { return a.derive("pkce") }

// keep sets the attempt's cookie, and removes those of others if there are too
// many.
func (a *attempt) keep(w http.ResponseWriter, r *http.Request, secure bool) error {
	raw, err := json.Marshal(a) //nolint:gosec // into the cookie of the browser whose secret it is
	if err != nil {
		return err
	}
	prefix := cookieName(attemptCookie, secure)
	var open []string
	for _, c := range r.Cookies() {
		if id, ok := strings.CutPrefix(c.Name, prefix); ok {
			open = append(open, id)
		}
	}
	if len(open) >= maxAttempts {
		for _, id := range open {
			setCookie(w, attemptCookie+id, "", secure, 0)
		}
	}
	setCookie(w, attemptCookie+a.ID, base64.RawURLEncoding.EncodeToString(raw), secure, attemptLife)
	return nil
}

// takeAttempt returns the attempt that a state parameter belongs to, and
// removes it from the browser: it is good once. Nil if this browser has none,
// or it is too old.
func takeAttempt(w http.ResponseWriter, r *http.Request, state string, secure bool, now time.Time) *attempt {
	id, _, _ := strings.Cut(state, ".")
	if len(id) != 16 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return nil
	}
	value, present := oneCookie(r.Header, cookieName(attemptCookie+id, secure))
	if !present {
		return nil
	}
	setCookie(w, attemptCookie+id, "", secure, 0)
	raw, err := base64.RawURLEncoding.DecodeString(value)
	a := &attempt{ID: id}
	if err != nil || json.Unmarshal(raw, a) != nil || !isSecret(a.Secret) {
		return nil
	}
	age := now.Sub(time.Unix(a.Started, 0))
	if !hmac.Equal([]byte(a.state()), []byte(state)) || age < -time.Minute || age > attemptLife {
		return nil
	}
	return a
}

// usedAttempts remembers attempts that are finished, or just now being so,
// while their cookies could still be shown by somebody who has copied them.
type usedAttempts struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// use reports whether the attempt is used for the first time.
func (u *usedAttempts) use(a *attempt, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[string]time.Time{}
	}
	key := hashed(a.Secret)
	if _, used := u.seen[key]; used {
		return false
	}
	if len(u.seen) >= maxUsed {
		for k, at := range u.seen {
			if now.Sub(at) > attemptLife {
				delete(u.seen, k)
			}
		}
		if len(u.seen) >= maxUsed {
			return false
		}
	}
	u.seen[key] = now
	return true
}

// forget takes an attempt off that did not succeed: there is nothing in it for
// a thief, and anybody can make as many as there are places.
func (u *usedAttempts) forget(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, hashed(a.Secret))
}
