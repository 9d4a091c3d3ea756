package authn

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	l, err := NewLocal(LocalConfig{Users: []LocalUser{
		{Name: "admin", PasswordHash: quickArgon2, Groups: []string{"ops", "dev"}},
		{Name: "bob", PasswordHash: quickBcrypt(t, "two") + "\n", Disabled: true},
	}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	try := func(user, password string) (*Principal, error) {
		return l.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: user, Secret: password})
	}
	p, err := try("admin", "password")
	if err != nil || p.Name != "admin" || p.Kind != KindUser || !slices.Equal(p.Groups, []string{"dev", "ops"}) || p.Authenticator != "local" {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, c := range []struct {
		user, password string
		err            error
	}{{"admin", "x", ErrInvalid}, {"bob", "two", ErrDisabled}, {"bob", "x", ErrInvalid}, {"carol", "x", ErrNotMine}} {
		if _, err := try(c.user, c.password); !errors.Is(err, c.err) {
			t.Errorf("%s with %s: %v, want %v", c.user, c.password, err, c.err)
		}
	}
	for name, p := range map[string]*Principal{
		"another password": {Kind: KindUser, Name: "admin", Origin: CredentialPassword, OriginID: "0123456789abcdef"},
		"another group":    {Kind: KindUser, Name: "admin", Origin: CredentialPassword, OriginID: p.CredentialID, Groups: []string{"root"}},
		"disabled":         {Kind: KindUser, Name: "bob"},
		"gone":             {Kind: KindUser, Name: "carol"},
		"a robot":          {Kind: KindRobot, Name: "admin"},
	} {
		if err := l.Recheck(p, nil); !errors.Is(err, ErrDisabled) {
			t.Errorf("token of %s: %v", name, err)
		}
	}
}

func TestLocalRefuses(t *testing.T) {
	_, fast := NewSecret(SecretRobot)
	for name, c := range map[string]LocalConfig{
		"no name":    {Users: []LocalUser{{PasswordHash: quickArgon2}}},
		"no hash":    {Users: []LocalUser{{Name: "a"}}},
		"plain text": {Users: []LocalUser{{Name: "a", PasswordHash: "hunter2"}}},
		"quick hash": {Users: []LocalUser{{Name: "a", PasswordHash: fast}}},
		"APR1":       {Users: []LocalUser{{Name: "a", PasswordHash: "$apr1$ab$eIePjsejfBGR8ITtu2z0U1"}}},
		"twice":      {Users: []LocalUser{{Name: "a", PasswordHash: quickArgon2}, {Name: "a", PasswordHash: quickArgon2}}},
		"a robot":    {Users: []LocalUser{{Name: "robot$a", PasswordHash: quickArgon2}}},
		"group":      {Users: []LocalUser{{Name: "a", PasswordHash: quickArgon2, Groups: []string{"a,b"}}}},
		"prefix":     {Prefix: "a b"},
	} {
		if _, err := NewLocal(c, nil, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	secret, _ := NewSecret(SecretRobot)
	for _, s := range []string{secret, "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"} {
		if stored, err := HashNewPassword(s); err == nil {
			t.Errorf("%.10s is hashed as a password: %s", s, stored)
		}
	}
	stored, err := HashNewPassword("everybody.loves.chocolate")
	if err != nil {
		t.Fatal(err)
	}
	if h, err := ParsePasswordHash(stored); err != nil || !h.Matches("everybody.loves.chocolate") {
		t.Errorf("%s: %v", stored, err)
	}
}
