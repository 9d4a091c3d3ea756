package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestSignIn goes from nothing to the first page, sees the session, and loses
// it in the ways that there are.
func TestSignIn(t *testing.T) {
	s := newScene(t)
	w := s.window(t)
	w.signIn("alice")
	w.says("What I may do", "team/**", "you are in the group team-maintainers", "public/**")

	t.Run("sessions", func(t *testing.T) {
		other := s.window(t)
		other.signIn("alice")
		w.open("/auth/sessions")
		w.says("this one", "Chrome on Linux")
		w.press("Sign out all others")
		w.says("Are you sure?")
		w.press("Sign out")
		w.says("Signed out.")
		other.open("/auth/csrf")
		if text := other.text(); !strings.Contains(text, "token") { // the provider's session lets it in again
			t.Error(text)
		}
	})
	t.Run("the registry reads the session", func(t *testing.T) {
		w.open("/v2/team/app/tags/list")
		w.says("NAME_UNKNOWN") // the registry's own answer: nobody was refused
	})
	t.Run("signing out", func(t *testing.T) {
		w.open("/auth/")
		w.press("Sign out")
		w.says("You are signed out", "You are still signed in at Example Corp.")
		w.open("/v2/team/app/tags/list")
		w.says("UNAUTHORIZED")
	})
}

// TestBackChannelLogout signs out at the provider: the session here ends.
func TestBackChannelLogout(t *testing.T) {
	s := newScene(t)
	w := s.window(t)
	w.signIn("alice")
	w.do(
		chromedp.Navigate(s.idp.Issuer+"/session/end"),
		chromedp.WaitVisible(chromedp.CSS("button[name=logout]")),
		chromedp.Click(chromedp.CSS("button[name=logout]")),
	)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		w.open("/v2/team/app/tags/list")
		if strings.Contains(w.text(), "UNAUTHORIZED") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session goes on")
		}
	}
	w.open("/auth/")
	w.do(chromedp.WaitVisible(chromedp.CSS("#username")))
}

// TestPages looks at every page, on a desk and a telephone, in the light and
// in the dark.
func TestPages(t *testing.T) {
	s := newScene(t)
	program := checker(t)
	w := s.window(t)
	w.lookAt(program, map[string]string{"sign-in": "/auth/sign-in", "error": "/auth/callback?state=x"})
	w.signIn("alice")
	w.lookAt(program, map[string]string{"overview": "/auth/", "sessions": "/auth/sessions", "clients": "/auth/clients", "not-found": "/auth/nothing"})
}
