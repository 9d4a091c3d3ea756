package portal

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestSettingsAreChecked(t *testing.T) {
	const minute, hour, day = authn.Duration(time.Minute), authn.Duration(time.Hour), authn.Duration(24 * time.Hour)
	for name, test := range map[string]struct {
		config Config
		want   bool
	}{
		"none":                    {Config{}, true},
		"on":                      {Config{Switch: authn.SwitchOn}, true},
		"off":                     {Config{Switch: authn.SwitchOff}, true},
		"neither":                 {Config{Switch: "yes"}, false},
		"a prefix":                {Config{Prefix: "/ui/"}, true},
		"without a slash":         {Config{Prefix: "/ui"}, true},
		"a short prefix":          {Config{Prefix: "/a"}, true},
		"no prefix":               {Config{Prefix: "/"}, false},
		"a relative prefix":       {Config{Prefix: "ui/"}, false},
		"an empty segment":        {Config{Prefix: "/a//b"}, false},
		"a dot":                   {Config{Prefix: "/a/../b"}, false},
		"an escape":               {Config{Prefix: "/a%2f"}, false},
		"a broken escape":         {Config{Prefix: "/a%zz"}, false},
		"a placeholder":           {Config{Prefix: "/{a}"}, false},
		"a backslash":             {Config{Prefix: `/a\b`}, false},
		"a parameter":             {Config{Prefix: "/a;b"}, false},
		"a query":                 {Config{Prefix: "/a?b/"}, false},
		"the registry's":          {Config{Prefix: "/v2/"}, false},
		"below it":                {Config{Prefix: "/v2/auth/"}, false},
		"beside it":               {Config{Prefix: "/v2auth/"}, true},
		"an address":              {Config{URL: "https://auth.example.com"}, true},
		"a port":                  {Config{URL: "https://auth.example.com:8443"}, true},
		"in the clear":            {Config{URL: "http://auth.example.com"}, false},
		"of this machine":         {Config{URL: "http://localhost:8080"}, true},
		"another scheme, of this": {Config{URL: "ftp://localhost"}, false},
		"an address in the clear": {Config{URL: "http://192.0.2.1"}, false},
		"this machine's address":  {Config{URL: "http://127.0.0.1:8080"}, true},
		"a path":                  {Config{URL: "https://auth.example.com/x"}, false},
		"no host":                 {Config{URL: "https://"}, false},
		"no address":              {Config{URL: "https://%zz"}, false},
		"a short idle":            {Config{SessionIdle: minute}, true},
		"a shorter one":           {Config{SessionIdle: minute - 1}, false},
		"as long as it lives":     {Config{SessionIdle: hour, SessionLifetime: hour}, true},
		"longer than it lives":    {Config{SessionIdle: hour, SessionLifetime: hour - 1}, false},
		"the longest":             {Config{SessionLifetime: 90 * day}, true},
		"a longer one":            {Config{SessionLifetime: 90*day + 1}, false},
		"devices":                 {Config{DeviceLogin: authn.SwitchOn}, true},
		"no devices":              {Config{DeviceLogin: authn.SwitchOff}, true},
		"some devices":            {Config{DeviceLogin: "x"}, false},
		"again":                   {Config{Reauthenticate: authn.SwitchOn}, true},
		"not again":               {Config{Reauthenticate: authn.SwitchOff}, true},
		"perhaps again":           {Config{Reauthenticate: "x"}, false},
		"a short code":            {Config{DeviceCodeLifetime: minute}, true},
		"a shorter code":          {Config{DeviceCodeLifetime: minute - 1}, false},
		"a long code":             {Config{DeviceCodeLifetime: 30 * minute}, true},
		"a longer code":           {Config{DeviceCodeLifetime: 30*minute + 1}, false},
		"a host":                  {Config{TrustedHosts: []string{"a.example", "b.example:8443"}}, true},
		"an empty host":           {Config{TrustedHosts: []string{""}}, false},
		"a path as a host":        {Config{TrustedHosts: []string{"a/b"}}, false},
		"a large letter":          {Config{TrustedHosts: []string{"A.example"}}, false},
		"a host that is none":     {Config{TrustedHosts: []string{"a b"}}, false},
	} {
		if err := test.config.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct{ config, want Config }{
		"none":           {Config{}, Config{SessionLifetime: authn.Duration(defaultSessionLifetime), SessionIdle: authn.Duration(defaultSessionIdle)}},
		"a long idle":    {Config{SessionIdle: 30 * day}, Config{SessionLifetime: 30 * day, SessionIdle: 30 * day}},
		"a short life":   {Config{SessionLifetime: hour}, Config{SessionLifetime: hour, SessionIdle: hour}},
		"both are given": {Config{SessionLifetime: 2 * hour, SessionIdle: hour}, Config{SessionLifetime: 2 * hour, SessionIdle: hour}},
	} {
		if got := test.config.withDefaults(); got.SessionLifetime != test.want.SessionLifetime || got.SessionIdle != test.want.SessionIdle {
			t.Errorf("%s: %v and %v", name, got.SessionLifetime, got.SessionIdle)
		}
	}
}

func TestCookiesOfOurs(t *testing.T) {
	for name, test := range map[string]struct {
		in, out []string
		own     bool
	}{
		"none":            {nil, nil, false},
		"others":          {[]string{"a=b; c=d"}, []string{"a=b; c=d"}, false},
		"a session":       {[]string{"registry_session=x"}, nil, true},
		"beside others":   {[]string{"a=b; registry_session=x;c=d"}, []string{"a=b;c=d"}, true},
		"of a host":       {[]string{hostPrefix + "registry_session=x; a=b"}, []string{"a=b"}, true},
		"of a realm":      {[]string{"registry_session_two=x"}, nil, true},
		"an attempt":      {[]string{attemptCookie + "abc=x; a=b"}, []string{"a=b"}, true},
		"one that is not": {[]string{"registry_sessions=x; my_registry_session=y"}, []string{"registry_sessions=x; my_registry_session=y"}, false},
		"as a value":      {[]string{"a=registry_session"}, []string{"a=registry_session"}, false},
		"two headers":     {[]string{"a=b", "registry_session=x"}, []string{"a=b"}, true},
	} {
		out, own := WithoutOwnCookies(test.in)
		if !slices.Equal(out, test.out) || own != test.own {
			t.Errorf("%s: %q %v", name, out, own)
		}
	}
	for cookie, want := range map[string]struct {
		value   string
		present bool
	}{"": {"", false}, "a=x": {"x", true}, "a=x; a=y": {"", true}, "b=x": {"", false}} {
		h := http.Header{}
		if cookie != "" {
			h.Set("Cookie", cookie)
		}
		if value, present := oneCookie(h, "a"); value != want.value || present != want.present {
			t.Errorf("%q: %q %v", cookie, value, present)
		}
	}
	secret := newSecret()
	for text, want := range map[string]bool{secret: true, secret + "\n": false, secret[:40] + "\r\n" + secret[40:]: false, secret[1:]: false, secret + "AAAA": false, "": false, secret[:42] + "=": false} {
		if isSecret(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestCountersForget(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var c counter
	for i := range 3 {
		if c.over("a", 3, now) || !c.take("a", 3, now) {
			t.Fatalf("over the limit at %d", i)
		}
	}
	if !c.over("a", 3, now) || c.take("a", 3, now) || !c.take("b", 3, now) {
		t.Error("not over the limit, or somebody else is")
	}
	now = now.Add(deviceWindow)
	if !c.over("a", 3, now) || c.take("a", 3, now) {
		t.Error("forgotten early")
	}
	now = now.Add(time.Second)
	if c.over("a", 3, now) || !c.take("a", 1, now) || c.take("a", 1, now) {
		t.Error("not forgotten")
	}
	for i := range maxCounted {
		c.take(fmt.Sprint(i), 1, now)
	}
	if len(c.since) != maxCounted || !c.take("new", 1, now) || !c.take("new", 1, now) || len(c.count) != maxCounted {
		t.Errorf("%d are counted", len(c.since))
	}
	if c.take("a", 1, now) {
		t.Error("who was counted is forgotten when there are many")
	}
	now = now.Add(deviceWindow + time.Second)
	if !c.take("new", 1, now) || c.take("new", 1, now) || len(c.since) != 1 {
		t.Errorf("%d are counted after a while", len(c.since))
	}
}

func TestPollsAreSlowedDown(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var p polls
	ask := func(after time.Duration) bool { now = now.Add(after); return p.take("a", now) }
	if !ask(0) || !ask(pollInterval) || !ask(pollInterval-time.Second) {
		t.Error("slowed down in time")
	}
	if ask(pollInterval - time.Second - 1) {
		t.Error("asked early")
	}
	if ask(2*pollInterval - time.Second - 1) {
		t.Error("asked early again")
	}
	if !ask(3*pollInterval - time.Second) {
		t.Error("slowed down for too long")
	}
	p.forget("a")
	if len(p.seen) != 0 || !ask(0) {
		t.Error("not forgotten")
	}
	for i := range maxPending {
		p.take(fmt.Sprint(i), now)
	}
	if len(p.seen) != maxPending+1 {
		t.Errorf("%d are remembered", len(p.seen))
	}
	if now = now.Add(deviceWindow + 1); !p.take("new", now) || len(p.seen) > maxPending+1 {
		t.Errorf("%d are remembered after a while", len(p.seen))
	}
}

func TestOriginsAndCodes(t *testing.T) {
	for a, want := range map[string][3]string{
		"192.0.2.7": {"192.0.2.7/32", "192.0.2.0/24", "192.0.2.7"}, "::ffff:192.0.2.7": {"192.0.2.7/32", "192.0.2.0/24", "192.0.2.7"},
		"2001:db8:1:2:3::4": {"2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8:1:2::/64"}, "fe80::1%eth0": {"fe80::/64", "fe80::/48", "fe80::/64"},
	} {
		addr := netip.MustParseAddr(a)
		if o := originOf(addr); o.address.String() != want[0] || o.network.String() != want[1] || addressKey(addr) != want[2] {
			t.Errorf("%s: %+v, %s", a, o, addressKey(addr))
		}
	}
	for text, want := range map[string]string{
		"BCDF-GHJK": "BCDFGHJK", "bcdf ghjk": "BCDFGHJK", " b-c-d-f-g-h-j-k\t": "BCDFGHJK", "BCDFGHJ": "", "BCDFGHJKL": "", "BCDFGHJA": "", "BCDFGHJ1": "", "": "", "zzzz-zzzz": "ZZZZZZZZ", "BCDFGHJ{": "", "BCDFGHJ`": "",
	} {
		if got := userCode(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	seen := map[rune]bool{}
	for range 200 {
		code := newUserCode()
		if userCode(spelled(code)) != code || len(code) != codeLength {
			t.Fatal(code)
		}
		for _, r := range code {
			seen[r] = true
		}
	}
	if len(seen) != len(codeLetters) || spelled("AB") != "AB" {
		t.Errorf("%d letters of %d", len(seen), len(codeLetters))
	}
	for text, want := range map[string]string{"a\x1bb\xff\n": "ab", strings.Repeat("é", 70): strings.Repeat("é", 33), strings.Repeat("a", 64): strings.Repeat("a", 64), "": ""} {
		if got := printable(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	for scope, want := range map[string]bool{
		"": true, " ": true, "repository:a/**:pull": true, "repository:a:pull,push registry:catalog:*": true, "repository": false, "repository:a": false, "repository:A//:pull": false,
		"repository:a:psuh": false, "plugin:a:pull": false, strings.Repeat(" ", maxScope): true, strings.Repeat(" ", maxScope+1): false,
	} {
		if list, err := askedRights(scope); (err == nil) != want || err == nil && strings.TrimSpace(scope) == "" && list != nil {
			t.Errorf("%q: %v, %v", scope, list, err)
		}
	}
}
