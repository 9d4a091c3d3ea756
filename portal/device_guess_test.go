package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestShortCodesLetNobodyIn: what people type in is not enough to fetch what
// they let in.
func TestShortCodesLetNobodyIn(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	d, code, user := f.begin(laptop)
	if g := alice.post("/auth/device/approve", url.Values{"user_code": {user}}); !strings.Contains(g.body, "The device is logged in") {
		t.Fatal(g.body)
	}
	short, long, _ := strings.Cut(code, ".")
	for name, wrong := range map[string]string{"the short one": short, "with nothing behind": short + ".", "with another": short + "." + strings.Repeat("A", len(long)), "the long one": long, "nearly": code[:len(code)-1], "none": ""} {
		if e := d.poll(wrong); e != "expired_token" {
			t.Errorf("%s: %q", name, e)
		}
	}
	d.advance(6 * time.Second)
	if e := d.post("/auth/device/token", url.Values{"grant_type": {"authorization_code"}, "device_code": {code}, "client_id": {"helper"}}); e != "unsupported_grant_type" {
		t.Errorf("another grant: %q", e)
	}
	if e := d.poll(code); e != "" {
		t.Errorf("the code itself: %q", e)
	}
}

// TestCodesOfOneAddressAreBounded, while others still get theirs.
func TestCodesOfOneAddressAreBounded(t *testing.T) {
	f := newFront(t)
	crowd := &device{front: f, at: "192.0.2.1"}
	got := 0
	for range 200 {
		if crowd.post("/auth/device/code", laptop) != "slow_down" {
			got++
		}
	}
	if got == 0 || got == 200 {
		t.Errorf("%d codes", got)
	}
	alone := &device{front: f, at: "198.51.100.1"}
	if e := alone.post("/auth/device/code", laptop); e != "" {
		t.Errorf("somebody else: %q", e)
	}
}

// TestDeviceLinkOfAnOldSignIn: who follows a device's link and was signed in at
// the provider long before has not been asked, and lets nothing in by it.
func TestDeviceLinkOfAnOldSignIn(t *testing.T) {
	f := newFront(t)
	f.idp.set(func() { f.idp.token = func(c object) { c["auth_time"] = f.now().Add(-time.Hour).Unix() } })
	d, code, user := f.begin(laptop)
	p := f.browser()
	if g := p.get("/auth/device?user_code=" + user); g.confirmation() != nil || g.status != http.StatusOK {
		t.Errorf("%d: %s", g.status, g.body)
	}
	if e := d.poll(code); e != "authorization_pending" {
		t.Error(e)
	}
}

// TestFormsAreForms: nothing else is read as one.
func TestFormsAreForms(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	form := url.Values{"csrf": {p.get("/auth/").csrf()}, "name": {"laptop"}}
	for _, kind := range []string{"text/plain", "application/json", "multipart/form-data; boundary=x", ""} {
		if g := p.do(http.MethodPost, "/auth/tokens", form, "Content-Type", kind); g.status != http.StatusBadRequest {
			t.Errorf("%q: %d", kind, g.status)
		}
	}
	if g := p.do(http.MethodPost, "/auth/tokens", url.Values{}, "Content-Type", "application/x-www-form-urlencoded"); g.status != http.StatusForbidden {
		t.Errorf("without a token: %d", g.status)
	}
	if g := f.browser().do(http.MethodPost, "/auth/sign-out", url.Values{"csrf": {"x"}}); g.status == http.StatusOK && strings.Contains(g.body, "signed out") {
		t.Errorf("without a session: %d", g.status)
	}
}
