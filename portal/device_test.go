package portal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
)

// device is a program that logs in with a code.
type device struct {
	*front
	got map[string]any
	at  string // the address that it asks from
}

// post sends a form as programs do, and returns the error code of the answer,
// "" if it has none.
func (d *device) post(path string, form url.Values) string {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), http.MethodPost, d.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		d.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Test-Remote", d.at)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	d.got = map[string]any{}
	if err := json.Unmarshal(body, &d.got); err != nil {
		d.Fatalf("%s: %s: %s", path, res.Status, body)
	}
	code, _ := d.got["error"].(string)
	if (code == "") != (res.StatusCode == http.StatusOK) {
		d.Errorf("%s: %s: %s", path, res.Status, body)
	}
	return code
}

func (d *device) text(name string) string {
	text, _ := d.got[name].(string)
	return text
}

// begin asks for a code.
func (f *front) begin(form url.Values) (d *device, code, user string) {
	f.Helper()
	d = &device{front: f}
	if e := d.post("/auth/device/code", form); e != "" {
		f.Fatalf("no code: %v", d.got)
	}
	return d, d.text("device_code"), d.text("user_code")
}

var laptop = url.Values{"client_id": {"helper"}, "client_name": {"laptop"}}

// poll asks whether it was let in.
func (d *device) poll(code string) string {
	d.Helper()
	d.advance(6 * time.Second)
	return d.post("/auth/device/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}, "client_id": {"helper"}})
}

func TestDeviceLogin(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	d, code, user := f.begin(url.Values{"client_id": {"helper"}, "client_name": {"<b>laptop</b>\x1b"}, "scope": {"repository:team/**:pull"}})
	if !strings.HasPrefix(d.text("verification_uri_complete"), f.URL+"/auth/device?user_code="+user) || d.got["expires_in"] != 600.0 || d.got["interval"] != 5.0 {
		t.Errorf("%v", d.got)
	}
	if e := d.poll(code); e != "authorization_pending" {
		t.Fatal(e)
	}
	page := alice.get("/auth/device?user_code=" + strings.ToLower(user))
	for _, want := range []string{user, "&lt;b&gt;laptop&lt;/b&gt;", "helper", "team/** pull", "Continue", "Deny"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if e := d.poll(code); e != "authorization_pending" { // looking lets nobody in
		t.Fatal(e)
	}
	if g := alice.post("/auth/device/approve", url.Values{"user_code": {user}}); !strings.Contains(g.body, "The device is logged in") {
		t.Fatal(g.body)
	}
	if e := d.poll(code); e != "" {
		t.Fatal(d.got)
	}
	secret := d.text("access_token")
	if !strings.HasPrefix(secret, "crait_") || d.text("username") != "alice" || d.text("issued_token_type") != "urn:ietf:params:oauth:token-type:refresh_token" {
		t.Errorf("%v", d.got)
	}
	p, err := f.logins.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret})
	if err != nil || p.Name != "alice" || len(p.Limits) != 1 || p.Limits[0].Name != "team/**" {
		t.Fatal(p, err)
	}
	if e := d.poll(code); e != "expired_token" {
		t.Errorf("the code is good twice: %q", e)
	}
	if g := alice.get("/auth/sessions"); !strings.Contains(g.body, "laptop") || !strings.Contains(g.body, "Docker logins") {
		t.Error("the login is not on the page")
	}
	if e := d.post("/auth/revoke", url.Values{"token": {secret}}); e != "" {
		t.Error(d.got)
	}
	if _, err := f.logins.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret}); err == nil {
		t.Error("it goes on after it was revoked")
	}
}

func TestDeviceRefused(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	d, code, user := f.begin(laptop)
	alice.post("/auth/device/refuse", url.Values{"user_code": {user}})
	if g := alice.post("/auth/device/approve", url.Values{"user_code": {user}}); g.status != http.StatusNotFound {
		t.Errorf("approved after it was refused: %d", g.status)
	}
	if e := d.poll(code); e != "access_denied" {
		t.Error(e)
	}
}

func TestDeviceLoginEnds(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	d, code, user := f.begin(laptop)
	t.Run("another client", func(t *testing.T) {
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}, "client_id": {"other"}}
		if e := d.post("/auth/device/token", form); e != "invalid_grant" {
			t.Error(e)
		}
	})
	t.Run("guessed", func(t *testing.T) {
		if e := d.poll(code[:len(code)-1] + "A"); e != "expired_token" && code[len(code)-1] != 'A' {
			t.Error(e)
		}
	})
	t.Run("too fast", func(t *testing.T) {
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}, "client_id": {"helper"}}
		d.post("/auth/device/token", form)
		if e := d.post("/auth/device/token", form); e != "slow_down" {
			t.Error(e)
		}
	})
	t.Run("late", func(t *testing.T) {
		f.advance(11 * time.Minute)
		if g := alice.get("/auth/device?user_code=" + user); g.status != http.StatusNotFound {
			t.Error(g.status)
		}
		if e := d.poll(code); e != "expired_token" {
			t.Error(e)
		}
	})
	t.Run("disabled meanwhile", func(t *testing.T) {
		d, code, user := f.begin(laptop)
		alice.post("/auth/device/approve", url.Values{"user_code": {user}})
		for item := range f.state.Users.All() {
			u := *item.Value
			u.Disabled = true
			putUser(t, f, item, &u)
		}
		if e := d.poll(code); e != "access_denied" {
			t.Error(e)
		}
	})
}

// TestDeviceLoginSignedOut: what ends all that somebody has ends what was
// approved and not fetched yet.
func TestDeviceLoginSignedOut(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*front, *state.Item[state.User]) error
		want string
	}{
		"everywhere": {func(f *front, user *state.Item[state.User]) error {
			return f.manager.SignOut(f.Context(), management.Local("local", "admin"), user.ID)
		}, "expired_token"},
		"by another gateway": {func(f *front, user *state.Item[state.User]) error {
			u := *user.Value
			u.NotBefore = f.now()
			var tx state.Tx
			f.state.PutUser(&tx, user.ID, &u, user)
			return f.state.Commit(f.Context(), &tx)
		}, "access_denied"},
		"by the provider": {func(f *front, user *state.Item[state.User]) error {
			return f.sessions.SignedOut(f.Context(), &authn.LogoutToken{Issuer: user.Value.Issuer, Subject: user.Value.Subject})
		}, "expired_token"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			alice := f.browser()
			alice.signIn()
			d, code, user := f.begin(laptop)
			alice.post("/auth/device/approve", url.Values{"user_code": {user}})
			f.advance(time.Second)
			for item := range f.state.Users.All() {
				if err := c.end(f, item); err != nil {
					t.Fatal(err)
				}
			}
			if e := d.poll(code); e != c.want {
				t.Errorf("%q, want %q", e, c.want)
			}
		})
	}
}

// TestDeviceCodesAreNotGuessed: neither by many browsers' sessions nor by
// asking for many.
func TestDeviceCodesAreNotGuessed(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	_, _, user := f.begin(laptop)
	for i := range 10 {
		if g := alice.get("/auth/device?user_code=BBBB-BBB" + string("BCDFGHJKLM"[i])); g.status != http.StatusNotFound {
			t.Fatal(g.status)
		}
	}
	if g := alice.get("/auth/device?user_code=" + user); g.status != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess: %d", g.status)
	}
	f.advance(11 * time.Minute)
	d := &device{front: f}
	for n := 0; ; n++ {
		if e := d.post("/auth/device/code", laptop); e == "slow_down" {
			if n < 10 || n > 20 {
				t.Errorf("%d codes for one address", n)
			}
			break
		}
	}
}

func TestDeviceScopes(t *testing.T) {
	f := newFront(t)
	d := &device{front: f}
	for _, scope := range []string{"repository", "repository:team/**", "repository:team/**:fly", "repository:../x:pull", "nothing:x:pull", strings.Repeat("repository:a:pull ", 500)} {
		if e := d.post("/auth/device/code", url.Values{"scope": {scope}}); e != "invalid_scope" {
			t.Errorf("%.40q: %q", scope, e)
		}
	}
}

// TestDeviceWithoutIdentityTokens gives an access token.
func TestDeviceWithoutIdentityTokens(t *testing.T) {
	g := newFront(t)
	g.noLogins = true
	g.open(t, g.provider(t, authn.OIDCConfig{Issuer: g.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
	alice := g.browser()
	alice.signIn()
	d, code, user := g.begin(laptop)
	alice.post("/auth/device/approve", url.Values{"user_code": {user}})
	if e := d.poll(code); e != "" || !strings.HasPrefix(d.text("access_token"), "crapt_") || d.text("token_type") != "Bearer" {
		t.Errorf("%v", d.got)
	}
	if page := alice.get("/auth/tokens"); !strings.Contains(page.body, "laptop, "+user) {
		t.Error("the token is not on the page")
	}
}

func putUser(t *testing.T, f *front, item *state.Item[state.User], u *state.User) {
	t.Helper()
	var tx state.Tx
	f.state.PutUser(&tx, item.ID, u, item)
	if err := f.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersDoNotTakeAllCodes: 101 addresses took all places for everybody.
func TestStrangersDoNotTakeAllCodes(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	if g := alice.get("/auth/", "X-Test-Remote", "192.0.2.7"); g.status != http.StatusOK {
		t.Fatal(g.status)
	}
	flood := func(from func(i int) string, n int) (got int) {
		d := &device{front: f}
		for i := range n {
			d.at = from(i)
			if d.post("/auth/device/code", laptop) == "" {
				got++
			}
		}
		return got
	}
	if n := flood(func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/20/10, i/20%10) }, 2100); n < 2000 {
		t.Fatalf("%d codes before it was full", n)
	}
	wanted := func(name, at string) (d *device, code, user string) {
		d = &device{front: f, at: at}
		if e := d.post("/auth/device/code", laptop); e != "" {
			t.Errorf("%s: %v", name, d.got)
		}
		return d, d.text("device_code"), d.text("user_code")
	}
	stranger, code, _ := wanted("somebody elsewhere", "203.0.113.5")
	known, knownCode, user := wanted("who is signed in", "192.0.2.7")
	// Now everybody is alone in a network, and whoever is known goes before.
	flood(func(i int) string { return fmt.Sprintf("172.%d.%d.1", 16+i/250, i%250) }, 2300)
	if e := known.poll(knownCode); e != "authorization_pending" {
		t.Errorf("who is signed in lost the place: %s", e)
	}
	wanted("who is signed in, later", "192.0.2.7")
	if alice.post("/auth/device/approve", url.Values{"user_code": {user}}); known.poll(knownCode) != "" {
		t.Error(known.got)
	}
	_, _ = stranger, code
	n := 0
	for range f.state.DeviceLogins.All() {
		n++
	}
	if n > 2000 {
		t.Errorf("%d wait", n)
	}
	// IPv6: nobody is bounded by the many networks that one customer has.
	if n := flood(func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) }, 300); n > 5 {
		t.Errorf("one customer gets %d codes", n)
	}
	wanted("somebody with IPv6", "2001:db8:2::1")
}

// TestDeviceLoginWhoseAnswerIsLost: a client that was let in while the store did
// not answer in time asks again, and has what was made for it, once.
func TestDeviceLoginWhoseAnswerIsLost(t *testing.T) {
	for name, fault := range map[string]func(*front){
		"made":     func(f *front) { f.store.LoseAcknowledgements(1) },
		"not made": func(f *front) { f.store.Fail(faultstore.Apply, store.ErrUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			alice := f.browser()
			alice.signIn()
			d, code, user := f.begin(laptop)
			alice.post("/auth/device/approve", url.Values{"user_code": {user}})
			fault(f)
			if e := d.poll(code); e == "" {
				t.Fatal("let in")
			}
			f.store.Fail(faultstore.Apply, nil)
			if err := f.state.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if e := d.poll(code); e != "" || !logged(f, d.text("access_token")) {
				t.Errorf("asked again: %q", e)
			}
			if e := d.poll(code); e != "expired_token" {
				t.Errorf("and once more: %q", e)
			}
			if n := len(f.state.IdentityTokens.Sorted()); n != 1 {
				t.Errorf("%d tokens", n)
			}
		})
	}
}
