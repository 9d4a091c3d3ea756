package authn

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// issuedOne is a directory with one secret, for one user.
type issuedOne struct {
	id     string
	secret *IssuedSecret
	gone   error
}

func (d *issuedOne) IssuedSecret(id string) (*IssuedSecret, error) {
	if d.gone != nil || id != d.id {
		return nil, errors.Join(d.gone, ErrInvalid)
	}
	s := *d.secret
	p := *s.Principal
	s.Principal = &p
	return &s, nil
}

func (d *issuedOne) IsAnother(username string, p *Principal) bool {
	return username == "bob" && p.Name != "bob"
}

// TestIssuedSecrets: one is good whole, for its kind, in its time and from its
// networks, and while somebody vouches for its owner.
func TestIssuedSecrets(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	secret, stored := NewSecret(SecretPersonalToken)
	parsed, err := ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := ParseHash(stored)
	if err != nil {
		t.Fatal(err)
	}
	forged, _ := RenewSecret(SecretPersonalToken, parsed.ID)
	robots, _ := RenewSecret(SecretRobot, parsed.ID)
	other, _ := NewSecret(SecretPersonalToken)
	here, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	for name, test := range map[string]struct {
		secret  string
		user    string
		scheme  Scheme
		from    netip.Addr
		expires time.Time
		gone    error
		vouch   error
		want    error
	}{
		"its own":                {secret: secret, user: "alice"},
		"as bearer":              {secret: secret, user: "bob", scheme: SchemeBearer},
		"under no name":          {secret: secret, user: "x"},
		"under another's name":   {secret: secret, user: "bob", want: ErrInvalid},
		"with the same id":       {secret: forged, user: "alice", want: ErrInvalid},
		"of another id":          {secret: other, user: "alice", want: ErrInvalid},
		"of another kind":        {secret: robots, user: "alice", want: ErrNotMine},
		"a password":             {secret: "hunter2", user: "alice", want: ErrNotMine},
		"cut off":                {secret: secret[:len(secret)-1], user: "alice", want: ErrInvalid},
		"before its end":         {secret: secret, user: "alice", expires: now.Add(1)},
		"at its end":             {secret: secret, user: "alice", expires: now, want: ErrExpired},
		"from elsewhere":         {secret: secret, user: "alice", from: elsewhere, want: ErrForbiddenSource},
		"gone":                   {secret: secret, user: "alice", gone: ErrDisabled, want: ErrDisabled},
		"nobody vouches for it":  {secret: secret, user: "alice", vouch: ErrDisabled, want: ErrDisabled},
		"wrong, and from nobody": {secret: forged, user: "bob", from: elsewhere, want: ErrInvalid},
	} {
		d := &issuedOne{id: parsed.ID, gone: test.gone, secret: &IssuedSecret{
			Hash: hash, Owner: "oidc", From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: test.expires,
			Principal: &Principal{Kind: KindUser, Name: "alice", Groups: []string{"old"}, CredentialID: parsed.ID},
		}}
		a := NewIssued(SecretPersonalToken, d, func() time.Time { return now })
		a.VouchedBy(func(p *Principal, _ *Credential) error {
			if p.Authenticator != "oidc" {
				t.Errorf("%s: %q is asked", name, p.Authenticator)
			}
			p.Groups, p.GroupsUnread = []string{"new"}, true
			return test.vouch
		})
		c := &Credential{Scheme: test.scheme, Username: test.user, Secret: test.secret, Remote: test.from}
		if c.Scheme == SchemeNone {
			c.Scheme = SchemeBasic
		}
		if !c.Remote.IsValid() {
			c.Remote = here
		}
		p, err := a.Authenticate(t.Context(), c)
		if !errors.Is(err, test.want) || (err == nil) != (p != nil && p.Name == "alice") {
			t.Errorf("%s: %v, %v, want %v", name, p, err, test.want)
		}
		if err == nil && (!slices.Equal(p.Groups, []string{"new"}) || !p.GroupsUnread) {
			t.Errorf("%s: in %q", name, p.Groups)
		}
		if test.want != nil && !errors.Is(test.want, ErrDisabled) {
			continue
		}
		// What was got with it is good for as long, for nobody else, and no
		// longer than the groups that it was got with.
		of := func(name string, groups ...string) *Principal {
			return &Principal{Kind: KindUser, Name: name, Origin: "access_token", OriginID: parsed.ID, Groups: groups}
		}
		for who, got := range map[string]struct {
			p    *Principal
			want error
		}{
			"its owner":          {of("alice", "new"), test.want},
			"its owner, without": {of("alice"), test.want},
			"somebody else":      {of("bob", "new"), ErrDisabled},
			"in another group":   {of("alice", "old"), ErrDisabled},
			"by its own id":      {&Principal{Kind: KindUser, Name: "alice", CredentialID: parsed.ID}, test.want},
			"by another id":      {&Principal{Kind: KindUser, Name: "alice", Origin: "access_token", OriginID: "x"}, ErrDisabled},
		} {
			if err := a.Recheck(got.p, c); !errors.Is(err, got.want) {
				t.Errorf("%s, %s: %v, want %v", name, who, err, got.want)
			}
		}
	}
	// Without anybody to ask the directory has the last word.
	d := &issuedOne{id: parsed.ID, secret: &IssuedSecret{Hash: hash, Principal: &Principal{Kind: KindUser, Name: "alice"}}}
	if p, err := NewIssued(SecretPersonalToken, d, nil).Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: secret, Remote: elsewhere}); err != nil || p.Name != "alice" {
		t.Errorf("%v, %v", p, err)
	}
}

// storedRobots are those of a directory.
type storedRobots []*Robot

func (d storedRobots) RobotByName(name string) *Robot {
	for _, r := range d {
		if r.Name() == name {
			return r
		}
	}
	return nil
}

func (d storedRobots) RobotBySecret(id string) *Robot {
	for _, r := range d {
		if slices.Contains(r.SecretIDs(), id) {
			return r
		}
	}
	return nil
}

func (d storedRobots) SlowHashes() (list [][]Hash) {
	for _, r := range d {
		if slow := r.SlowHashes(); slow != nil {
			list = append(list, slow)
		}
	}
	return list
}

// TestRobotsOfADirectory: a secret is good whole and until it was replaced, and
// a stored robot with the name of a declared or reserved one is dead.
func TestRobotsOfADirectory(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	made := func(name string, hashes ...string) *Robot {
		r, err := NewRobot(RobotConfig{Name: name, SecretHashes: hashes})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	secret := func() (string, string, string) {
		s, stored := NewSecret(SecretRobot)
		parsed, err := ParseSecret(s)
		if err != nil {
			t.Fatal(err)
		}
		forged, _ := RenewSecret(SecretRobot, parsed.ID)
		return s, stored, forged
	}
	declared, declaredHash, declaredForged := secret()
	stored, storedHash, storedForged := secret()
	next, nextHash, _ := secret()
	twin, twinHash, _ := secret()
	kept, keptHash, _ := secret()
	replaced := made("stored", storedHash, nextHash)
	replaced.EndSecret(0, now.Add(time.Minute))
	rs, err := NewRobots([]RobotConfig{{Name: "declared", SecretHashes: []string{declaredHash}}}, nil, nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	rs.Follow(storedRobots{replaced, made("declared", twinHash), made("reserved", keptHash), made("slow", quickBcrypt(t, "pw"))})
	rs.Reserve(map[string]string{"reserved": "workload"})
	chain := NewChain([]Member{NewMember(RobotsName, rs)}, nil)
	for name, test := range map[string]struct {
		login, secret string
		want          string
	}{
		"declared":                    {"robot$declared", declared, "declared"},
		"with the same id":            {"robot$declared", declaredForged, ""},
		"stored":                      {"robot$stored", stored, "stored"},
		"stored, with the same id":    {"robot$stored", storedForged, ""},
		"the next one":                {"robot$stored", next, "stored"},
		"under another robot's name":  {"robot$declared", stored, ""},
		"stored as one that is":       {"robot$declared", twin, ""},
		"stored as one that may not":  {"robot$reserved", kept, ""},
		"a password":                  {"robot$slow", "pw", "slow"},
		"a wrong one":                 {"robot$slow", "pww", ""},
		"of a robot that has none":    {"robot$stored", "pw", ""},
		"of a robot that there isn't": {"robot$nobody", "pw", ""},
	} {
		p, err := chain.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: test.login, Secret: test.secret})
		if got := ""; err == nil {
			if got = p.Name; got != test.want {
				t.Errorf("%s: %s", name, got)
			}
		} else if test.want != "" || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, err := rs.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: stored})
	if err != nil || !first.Expires.Equal(now.Add(time.Minute)) {
		t.Fatalf("%+v, %v", first, err)
	}
	now = now.Add(time.Minute)
	if _, err := rs.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: stored}); !errors.Is(err, ErrExpired) {
		t.Errorf("a secret that was replaced: %v", err)
	}
	of := func(id string) *Principal {
		return &Principal{Kind: KindRobot, Name: "stored", Origin: "robot_secret", OriginID: id}
	}
	if err := rs.Recheck(of(first.CredentialID), &Credential{}); !errors.Is(err, ErrExpired) {
		t.Errorf("what was got with it: %v", err)
	}
	if err := rs.Recheck(of("x"), &Credential{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("what was got with one that is gone: %v", err)
	}
	if err := rs.Recheck(&Principal{Kind: KindRobot, Name: "reserved"}, &Credential{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("a robot that is dead: %v", err)
	}
	if len(rs.allSlow()) != 1 || rs.EqualizeCost() == 0 {
		t.Errorf("%d have passwords", len(rs.allSlow()))
	}
}
