package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// hostPrefix makes browsers refuse a cookie that was not set by this very host
// over https, so that no neighbour can plant one (RFC 6265bis §4.1.3.2).
const hostPrefix = "__Host-"

// sessionCookie is the name of a session's cookie, to which the realm is added.
const sessionCookie = "registry_session"

// cookieName returns the name of a cookie. Without https there is no prefix:
// browsers refuse it there. That is for a registry on one's own machine only.
func cookieName(name string, secure bool) string {
	if secure {
		return hostPrefix + name
	}
	return name
}

// setCookie sets a cookie for this host that no script can read.
func setCookie(w http.ResponseWriter, name, value string, secure bool, life time.Duration) {
	c := &http.Cookie{ //nolint:gosec // Secure wherever there is https
		Name: cookieName(name, secure), Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, // not strict: links to the pages work
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// oneCookie returns the value of a cookie. If there are several of the name
// nobody can tell whose is whose, and it is as if it had a value that is wrong.
func oneCookie(h http.Header, name string) (value string, present bool) {
	if len(h["Cookie"]) == 0 {
		return "", false
	}
	found := (&http.Request{Header: h}).CookiesNamed(name)
	switch len(found) {
	case 0:
		return "", false
	case 1:
		return found[0].Value, true
	}
	return "", true
}

// secretBytes is how long our random values are: 256 bits.
const secretBytes = 32

// newSecret returns 256 random bits as text.
func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// isSecret reports whether text may be a value of newSecret.
func isSecret(text string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == secretBytes && !strings.ContainsAny(text, "\r\n")
}

// hashed is how a secret is stored.
func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// WithoutOwnCookies returns the values of a Cookie header without the cookies
// of portals, whichever realm's, and whether there were any. The other cookies
// stay as they are, to the byte.
func WithoutOwnCookies(values []string) (rest []string, own bool) {
	for _, value := range values {
		if !strings.Contains(value, "registry_") {
			rest = append(rest, value)
			continue
		}
		var kept []string
		for pair := range strings.SplitSeq(value, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if isOwnCookie(strings.TrimSpace(name)) {
				own = true
				continue
			}
			kept = append(kept, pair)
		}
		if left := strings.TrimSpace(strings.Join(kept, ";")); left != "" {
			rest = append(rest, left)
		}
	}
	return rest, own
}

func isOwnCookie(name string) bool {
	name = strings.TrimPrefix(name, hostPrefix)
	return name == sessionCookie || strings.HasPrefix(name, sessionCookie+"_") || strings.HasPrefix(name, attemptCookie)
}
