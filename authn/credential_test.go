package authn

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestFromHeader(t *testing.T) {
	long := strings.Repeat("a", MaxCredential)
	for _, test := range []struct {
		name   string
		header []string
		want   Credential
		err    error
	}{
		{"none", nil, Credential{}, nil},
		{"basic", []string{basic("alice", "secret")}, Credential{Scheme: SchemeBasic, Username: "alice", Secret: "secret"}, nil},
		{"basic, any case", []string{"bAsIc YTpi"}, Credential{Scheme: SchemeBasic, Username: "a", Secret: "b"}, nil},
		{"basic, colons in password", []string{basic("a", "b:c:")}, Credential{Scheme: SchemeBasic, Username: "a", Secret: "b:c:"}, nil},
		{"basic, nobody", []string{"Basic Og=="}, Credential{}, nil},
		{"basic, no user", []string{basic("", "token")}, Credential{Scheme: SchemeBasic, Secret: "token"}, nil},
		{"basic, no password", []string{basic("alice", "")}, Credential{Scheme: SchemeBasic, Username: "alice"}, nil},
		{"basic, password in latin-1", []string{basic("a", "\xe9t\xe9")}, Credential{Scheme: SchemeBasic, Username: "a", Secret: "\xe9t\xe9"}, nil},
		{"basic, user in UTF-8", []string{basic("émile", "x")}, Credential{Scheme: SchemeBasic, Username: "émile", Secret: "x"}, nil},
		{"bearer", []string{"Bearer a.b-c_d~e+f/g=="}, Credential{Scheme: SchemeBearer, Secret: "a.b-c_d~e+f/g=="}, nil},
		{"bearer, any case", []string{"bEaReR abc"}, Credential{Scheme: SchemeBearer, Secret: "abc"}, nil},

		{"two headers", []string{"Bearer a", "Bearer a"}, Credential{}, ErrMalformed},
		{"two kinds", []string{"Bearer a", basic("a", "b")}, Credential{}, ErrMalformed},
		{"too long", []string{"Bearer " + long}, Credential{}, ErrMalformed},
		{"empty bearer", []string{"Bearer"}, Credential{}, ErrMalformed},
		{"bearer and nothing", []string{"Bearer "}, Credential{}, ErrMalformed},
		{"bearer, two spaces", []string{"Bearer  a"}, Credential{}, ErrMalformed},
		{"bearer, space after", []string{"Bearer a "}, Credential{}, ErrMalformed},
		{"bearer, line end", []string{"Bearer a\r\n"}, Credential{}, ErrMalformed},
		{"bearer, comma", []string{"Bearer a,Bearer b"}, Credential{}, ErrMalformed},
		{"bearer, NUL", []string{"Bearer a\x00"}, Credential{}, ErrMalformed},
		{"bearer, not ASCII", []string{"Bearer é"}, Credential{}, ErrMalformed},
		{"basic, empty", []string{"Basic"}, Credential{}, ErrMalformed},
		{"basic, not base64", []string{"Basic a:b"}, Credential{}, ErrMalformed},
		{"basic, no padding", []string{"Basic Og"}, Credential{}, ErrMalformed},
		{"basic, line end", []string{"Basic YTpi\n"}, Credential{}, ErrMalformed},
		{"basic, no colon", []string{"Basic YWJj"}, Credential{}, ErrMalformed},
		{"basic, NUL in user", []string{basic("alice\x00", "x")}, Credential{}, ErrMalformed},
		{"basic, line feed in password", []string{basic("alice", "x\n")}, Credential{}, ErrMalformed},
		{"basic, DEL", []string{basic("alice", "x\x7f")}, Credential{}, ErrMalformed},
		{"basic, C1 control in user", []string{basic("alice\u0085", "x")}, Credential{}, ErrMalformed},
		{"basic, user not UTF-8", []string{basic("\xff", "x")}, Credential{}, ErrMalformed},
		{"basic, long user", []string{basic(strings.Repeat("a", 256), "x")}, Credential{}, ErrMalformed},
		{"empty", []string{""}, Credential{}, ErrInvalid},
		{"other scheme", []string{"Negotiate abc"}, Credential{}, ErrInvalid},
		{"other scheme, control", []string{"Negotiate a\x01"}, Credential{}, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			for _, v := range test.header {
				h.Add("Authorization", v)
			}
			c, err := FromHeader(h, netip.MustParseAddr("::ffff:10.0.0.1"))
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				if c != nil {
					t.Error("credential together with an error")
				}
				return
			}
			test.want.Remote = netip.MustParseAddr("10.0.0.1")
			if *c != test.want {
				t.Errorf("got %#v %q %q", c, c.Username, c.Secret)
			}
		})
	}
}

func TestCredentialHidesSecret(t *testing.T) {
	c := &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{c, *c} {
			if s := fmt.Sprintf(format, v); strings.Contains(s, "hunter2") {
				t.Errorf("%s of %T shows the secret: %s", format, v, s)
			}
		}
	}
}

func FuzzFromHeader(f *testing.F) {
	for _, s := range []string{"", "Basic Og==", "Bearer a.b.c", "basic YTpi", "Bearer a, b", "Basic YTpi\r\n", "Digest x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := FromHeader(http.Header{"Authorization": {header}}, netip.Addr{})
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrInvalid) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if strings.ContainsAny(c.Username+c.Secret, "\x00\r\n\x7f") {
			t.Fatalf("control characters in %q %q", c.Username, c.Secret)
		}
		if c.Scheme == SchemeNone && c.Secret+c.Username != "" {
			t.Fatal("no scheme, but a secret")
		}
		if c.Scheme == SchemeBearer && (c.Secret == "" || strings.ContainsAny(c.Secret, " ,")) {
			t.Fatalf("bearer %q", c.Secret)
		}
	})
}
