package authn

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// anyDirectory stands for an authenticator of passwords that are checked
// elsewhere: everybody with the password "elsewhere" is known there.
type anyDirectory struct{ asked []string }

func (d *anyDirectory) Facts() Facts { return Facts{Passwords: true} }
func (d *anyDirectory) Authenticate(_ context.Context, c *Credential) (*Principal, error) {
	if !c.IsPassword() || c.Username == "nobody" {
		return nil, ErrNotMine
	}
	d.asked = append(d.asked, c.Username)
	if c.Secret != "elsewhere" {
		return nil, ErrInvalid
	}
	return &Principal{Kind: KindUser, Name: c.Username}, nil
}

// TestDispatch shows credentials of every shape to a chain of all kinds of
// authenticators, with people's passwords on and off.
func TestDispatch(t *testing.T) {
	key := newECKey("k1")
	idp := newProvider(t, key)
	oidc := idp.oidc(t, new(testClock), nil)
	idToken := key.sign(object{"alg": "ES256", "kid": "k1"}, idp.claims(time.Now(), object{"preferred_username": "alice"}))
	robot, robotHash := NewSecret(SecretRobot)
	unknownRobot, _ := NewSecret(SecretRobot)
	personal, _ := NewSecret(SecretPersonalToken)
	robots, err := NewRobots([]RobotConfig{
		{Name: "ci", SecretHashes: []string{robotHash}},
		{Name: "old", SecretHashes: []string{quickBcrypt(t, "robot-password")}},
	}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("alice:"+quickBcrypt(t, "one")+"\nadmin:"+quickBcrypt(t, "file")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	htpasswd, err := NewHtpasswd(HtpasswdConfig{File: file}, HtpasswdOptions{})
	if err != nil {
		t.Fatal(err)
	}
	local, err := NewLocal(LocalConfig{Prefix: "local-", Users: []LocalUser{
		{Name: "admin", PasswordHash: quickArgon2},
		{Name: "bob", PasswordHash: quickArgon2},
		{Name: "root", PasswordHash: quickArgon2, BreakGlass: true},
	}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	away := &anyDirectory{}
	on := NewChain([]Member{NewMember("oidc", oidc), NewMember(RobotsName, robots), NewMember("htpasswd", htpasswd), NewMember("local", local), NewMember("directory", away)}, nil)
	off := on.WithoutPasswords()

	for _, test := range []struct {
		name         string
		scheme       Scheme
		user, secret string
		on, off      string // who it is; "" refused
	}{
		{"robot secret", SchemeBasic, "robot$ci", robot, "robot:ci", "robot:ci"},
		{"robot secret, plain name", SchemeBasic, "ci", robot, "robot:ci", "robot:ci"},
		{"robot secret, bearer", SchemeBearer, "", robot, "robot:ci", "robot:ci"},
		{"robot secret under a person's name", SchemeBasic, "alice", robot, "", ""},
		{"unknown robot secret", SchemeBasic, "alice", unknownRobot, "", ""},
		{"robot password", SchemeBasic, "old", "robot-password", "robot:old", "robot:old"},
		{"wrong robot password", SchemeBasic, "robot$old", "elsewhere", "", ""},
		{"robot's name that nobody has", SchemeBasic, "robot$alice", "one", "", ""},
		{"robot's name, other spelling", SchemeBasic, "ROBOT$alice", "elsewhere", "", ""},
		{"token of another kind", SchemeBasic, "alice", personal, "", ""},
		{"ID token as password", SchemeBasic, "alice", idToken, "user:alice", "user:alice"},
		{"ID token as password of somebody else", SchemeBasic, "admin", idToken, "user:alice", "user:alice"},
		{"ID token, bearer", SchemeBearer, "", idToken, "user:alice", "user:alice"},
		{"broken ID token as password", SchemeBasic, "alice", idToken[:len(idToken)-4] + "AAAA", "", ""},
		{"ID token of nobody", SchemeBasic, "alice", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln", "", ""},
		{"htpasswd", SchemeBasic, "alice", "one", "user:alice", ""},
		{"htpasswd, bearer", SchemeBearer, "alice", "one", "", ""},
		{"wrong for the first that knows the name", SchemeBasic, "admin", "password", "", ""},
		{"htpasswd before local", SchemeBasic, "admin", "file", "user:admin", ""},
		{"local", SchemeBasic, "bob", "password", "user:local-bob", ""},
		{"local, wrong, known elsewhere", SchemeBasic, "bob", "elsewhere", "", ""},
		{"break glass", SchemeBasic, "root", "password", "user:local-root", "user:local-root"},
		{"break glass, wrong", SchemeBasic, "root", "elsewhere", "", ""},
		{"the last one's", SchemeBasic, "zoe", "elsewhere", "user:zoe", ""},
		{"the last one's, wrong", SchemeBasic, "zoe", "x", "", ""},
		{"known to nobody", SchemeBasic, "nobody", "one", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Credential{Scheme: test.scheme, Username: test.user, Secret: test.secret, Remote: here}
			for chain, want := range map[*Chain]string{on: test.on, off: test.off} {
				p, err := chain.Authenticate(t.Context(), c)
				switch {
				case want == "" && (!errors.Is(err, ErrInvalid) || p != nil):
					t.Errorf("off %v: %v, %v; want it refused as invalid", chain == off, p, err)
				case want != "" && (err != nil || p.String() != want):
					t.Errorf("off %v: %v, %v; want %s", chain == off, p, err, want)
				}
				if told := errors.As(err, new(*PasswordsOffError)); told != (chain == off && want == "" && c.IsPassword()) {
					t.Errorf("off %v: that passwords are off is said: %v", chain == off, told)
				}
			}
		})
	}
	for _, user := range away.asked {
		if user != "zoe" {
			t.Errorf("the password of %s was sent to the last authenticator", user)
		}
	}
}

// TestWithoutPasswordsRecheck: tokens that passwords were exchanged for end.
func TestWithoutPasswordsRecheck(t *testing.T) {
	local, err := NewLocal(LocalConfig{Users: []LocalUser{
		{Name: "bob", PasswordHash: quickArgon2}, {Name: "root", PasswordHash: quickArgon2, BreakGlass: true},
	}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	on := NewChain([]Member{NewMember("local", local), NewMember("directory", &anyDirectory{})}, nil)
	for _, c := range []struct {
		by, name string
		off      bool
	}{{"local", "bob", false}, {"local", "root", true}, {"directory", "zoe", false}} {
		p := &Principal{Kind: KindUser, Name: c.name, Authenticator: c.by}
		if err := on.Recheck(p, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := on.WithoutPasswords().Recheck(p, nil); (err == nil) != c.off {
			t.Errorf("%s without passwords: %v", c.name, err)
		}
	}
}

// TestForeignPrefix: a name that begins as another authenticator's do.
func TestForeignPrefix(t *testing.T) {
	local, err := NewLocal(LocalConfig{Users: []LocalUser{{Name: "file-alice", PasswordHash: quickArgon2}, {Name: "bob", PasswordHash: quickArgon2}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := NewLocal(LocalConfig{Prefix: "file-"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []*Chain{
		NewChain([]Member{NewMember("local", local), NewMember("file", file)}, nil),
		NewChain([]Member{NewMember("local", local), NewMember("file", file)}, nil).WithoutPasswords(),
	} {
		_, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "file-alice", Secret: "password"})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("file-alice: %v", err)
		}
	}
}

// TestUnknownAccountTakesItsTime: an account that nobody knows costs the hash of
// one that is known.
func TestUnknownAccountTakesItsTime(t *testing.T) {
	known := &stubHash{secret: "right"}
	table := newPasswordTable("local", "")
	if err := table.add("alice", passwordUser{hash: known}, nil); err != nil {
		t.Fatal(err)
	}
	robots, err := NewRobots(nil, nil, nil, nil) // no hash to take the time of
	if err != nil {
		t.Fatal(err)
	}
	ch := NewChain([]Member{NewMember(RobotsName, robots), NewMember("local", &Local{table: table, match: newPasswordMatcher(nil, nil)})}, nil)
	for i, c := range []Credential{
		{Scheme: SchemeBasic, Username: "alice", Secret: "wrong"},
		{Scheme: SchemeBasic, Username: "bob", Secret: "wrong"},
		{Scheme: SchemeBasic, Username: "carol", Secret: "right"},
	} {
		if p, err := ch.Authenticate(t.Context(), &c); !errors.Is(err, ErrInvalid) || p != nil {
			t.Errorf("%s: %v, %v", c.Username, p, err)
		}
		if n := known.checks.Load(); n != int32(i+1) {
			t.Errorf("%s: %d hashes so far", c.Username, n)
		}
	}
	_, _ = ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "bob", Secret: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"})
	if n := known.checks.Load(); n != 3 {
		t.Errorf("a token that nobody knows cost a hash")
	}
}

// TestWithoutPasswordsElsewhere: of those who ask others, what are no passwords
// of people goes on.
func TestWithoutPasswordsElsewhere(t *testing.T) {
	s := newTokenServer(t)
	both := s.authenticator(t, withPasswords)
	off := NewChain([]Member{NewMember(both.Name(), both)}, nil).WithoutPasswords()
	if p, err := off.Authenticate(t.Context(), password("builder", "s:1 &%")); err != nil || off.Recheck(p, nil) != nil {
		t.Errorf("a client: %v, %v", p, err)
	}
	if _, err := off.Authenticate(t.Context(), password("alice", "pw")); !errors.Is(err, ErrInvalid) || s.last.Get("password") != "" {
		t.Errorf("a person: %v", err)
	}
	if err := off.Recheck(&Principal{Kind: KindUser, Issuer: s.URL, Authenticator: both.Name()}, nil); !errors.Is(err, ErrDisabled) {
		t.Errorf("a person's token: %v", err)
	}

	service := newAskedService(t, says(200, `{"name":"a"}`))
	for _, test := range []struct {
		credentials []string
		bearer      error
	}{
		{[]string{"password"}, ErrInvalid}, {[]string{"bearer"}, nil}, {[]string{"password", "bearer"}, nil},
	} {
		e, err := NewExternal(ExternalConfig{URL: service.URL, Credentials: test.credentials}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		off := NewChain([]Member{NewMember(e.Name(), e)}, nil).WithoutPasswords()
		before := service.questions.Load()
		if _, err := off.Authenticate(t.Context(), basicPassword("alice", "pw")); !errors.Is(err, ErrInvalid) || service.questions.Load() != before {
			t.Errorf("%v: a password: %v", test.credentials, err)
		}
		if _, err := off.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: "opaque"}); !errors.Is(err, test.bearer) {
			t.Errorf("%v: a token: %v", test.credentials, err)
		}
	}
}

// TestExternalRecheck: what was issued for a password ends when passwords are
// switched off, or the service is not asked about them any more, and what was
// issued for a token, in whatever place, goes on.
func TestExternalRecheck(t *testing.T) {
	service := newAskedService(t, says(200, `{"name":"a"}`))
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln"
	authenticator := func(credentials ...string) *Chain {
		e, err := NewExternal(ExternalConfig{URL: service.URL, Credentials: credentials}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return NewChain([]Member{NewMember(e.Name(), e)}, nil)
	}
	on := authenticator("password", "bearer")
	for _, test := range []struct {
		name                       string
		c                          *Credential
		credential                 string
		off, tokensOnly, passwords bool // whether it goes on
	}{
		{"a password", basicPassword("alice", "pw"), CredentialExternalPassword, false, false, true},
		{"a token", &Credential{Scheme: SchemeBearer, Secret: "opaque"}, CredentialExternalToken, true, true, false},
		{"a token in the place of a password", basicPassword("alice", jwt), CredentialExternalToken, true, true, false},
	} {
		p, err := on.Authenticate(t.Context(), test.c)
		if err != nil || p.Credential != test.credential {
			t.Errorf("%s: %+v, %v", test.name, p, err)
			continue
		}
		issued := *p
		issued.Origin, issued.Credential = p.Credential, CredentialRegistryToken
		for _, now := range []struct {
			name string
			ch   *Chain
			good bool
		}{
			{"as before", on, true},
			{"passwords off", on.WithoutPasswords(), test.off},
			{"tokens only", authenticator("bearer"), test.tokensOnly},
			{"passwords only", authenticator("password"), test.passwords},
		} {
			if err := now.ch.Recheck(&issued, nil); (err == nil) != now.good || err != nil && !errors.Is(err, ErrDisabled) {
				t.Errorf("%s, %s: %v", test.name, now.name, err)
			}
		}
	}
}
