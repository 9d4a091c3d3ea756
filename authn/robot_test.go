package authn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const someJWT = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.AAAA"

func newRobots(t testing.TB, list ...RobotConfig) *Robots {
	t.Helper()
	rs, err := NewRobots(list, NewHashPool(1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestRobots(t *testing.T) {
	secret, hash := NewSecret(SecretRobot)
	next, nextHash := NewSecret(SecretRobot)
	other, otherHash := NewSecret(SecretRobot)
	unknown, _ := NewSecret(SecretRobot)
	pat, _ := NewSecret(SecretPersonalToken)
	disabled, disabledHash := NewSecret(SecretRobot)
	expired, expiredHash := NewSecret(SecretRobot)
	inside, insideHash := NewSecret(SecretRobot)
	rs := newRobots(t,
		RobotConfig{Name: "ci", SecretHashes: []string{hash, nextHash}},
		RobotConfig{Name: "robot-x", SecretHashes: []string{otherHash}},
		RobotConfig{Name: "human", SecretHashes: []string{quickBcrypt(t, "hunter2"), quickBcrypt(t, "hunter3")}},
		RobotConfig{Name: "dis", SecretHashes: []string{disabledHash}, Disabled: true},
		RobotConfig{Name: "exp", SecretHashes: []string{expiredHash}, Expires: "2020-01-01"},
		RobotConfig{Name: "in", SecretHashes: []string{insideHash}, From: []string{"192.0.2.0/24", "2001:db8::/32"}},
	)
	for _, test := range []struct {
		name   string
		scheme Scheme
		user   string
		secret string
		want   string
		err    error
	}{
		{"robot$ci", SchemeBasic, "robot$ci", secret, "ci", nil},
		{"robot-ci", SchemeBasic, "robot-ci", secret, "ci", nil},
		{"ci", SchemeBasic, "ci", secret, "ci", nil},
		{"the next secret", SchemeBasic, "ci", next, "ci", nil},
		{"bearer", SchemeBearer, "", secret, "ci", nil},
		{"name with the prefix", SchemeBasic, "robot-x", other, "robot-x", nil},
		{"name with the prefix, prefixed", SchemeBasic, "robot$robot-x", other, "robot-x", nil},
		{"password", SchemeBasic, "human", "hunter2", "human", nil},
		{"second password", SchemeBasic, "robot$human", "hunter3", "human", nil},
		{"from inside", SchemeBasic, "in", inside, "in", nil},

		{"upper case", SchemeBasic, "ROBOT$CI", secret, "", ErrInvalid},
		{"upper case name", SchemeBasic, "robot$CI", secret, "", ErrInvalid},
		{"another's name", SchemeBasic, "human", secret, "", ErrInvalid},
		{"no name", SchemeBasic, "", secret, "", ErrInvalid},
		{"unknown name", SchemeBasic, "alice", secret, "", ErrInvalid},
		{"unknown secret", SchemeBasic, "ci", unknown, "", ErrInvalid},
		{"unknown secret, bearer", SchemeBearer, "", unknown, "", ErrInvalid},
		{"broken secret", SchemeBasic, "ci", secret[:60], "", ErrInvalid},
		{"broken secret, bearer", SchemeBearer, "", secret + "x", "", ErrInvalid},
		{"hash as secret", SchemeBasic, "ci", hash, "", ErrNotMine},
		{"wrong password", SchemeBasic, "human", "hunter4", "", ErrInvalid},
		{"password for a robot without", SchemeBasic, "ci", "hunter2", "", ErrNotMine},
		{"no such robot", SchemeBasic, "robot$nobody", "hunter2", "", ErrInvalid},
		{"ID token as robot$", SchemeBasic, "robot$ci", someJWT, "", ErrInvalid},
		{"disabled", SchemeBasic, "dis", disabled, "", ErrDisabled},
		{"disabled, wrong", SchemeBasic, "dis", "x", "", ErrNotMine},
		{"expired", SchemeBasic, "exp", expired, "", ErrExpired},
		{"from outside", SchemeBearer, "", inside, "", ErrForbiddenSource},

		{"a person", SchemeBasic, "alice", "password", "", ErrNotMine},
		{"no robot by that short name", SchemeBasic, "robot-nobody", "x", "", ErrNotMine},
		{"a token", SchemeBearer, "", someJWT, "", ErrNotMine},
		{"some bearer", SchemeBearer, "", "abc", "", ErrNotMine},
		{"ID token with a robot's name", SchemeBasic, "ci", someJWT, "", ErrNotMine},
		{"personal token with a robot's name", SchemeBasic, "ci", pat, "", ErrNotMine},
	} {
		t.Run(test.name, func(t *testing.T) {
			remote := here
			if test.err != nil {
				remote = netip.MustParseAddr("198.51.100.1")
			}
			p, err := rs.Authenticate(t.Context(), &Credential{Scheme: test.scheme, Username: test.user, Secret: test.secret, Remote: remote})
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				if p != nil || strings.Contains(err.Error(), test.secret) && test.secret != "x" {
					t.Errorf("principal %v, error %v", p, err)
				}
				return
			}
			if p.Kind != KindRobot || p.Name != test.want || p.Authenticator != RobotsName || p.Credential != "robot_secret" {
				t.Errorf("principal %+v", p)
			}
		})
	}
}

func TestRobotsRecheck(t *testing.T) {
	_, a := NewSecret(SecretRobot)
	_, b := NewSecret(SecretRobot)
	_, c := NewSecret(SecretRobot)
	now := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	rs, err := NewRobots([]RobotConfig{
		{Name: "ci", SecretHashes: []string{a}, Expires: "2027-01-01", From: []string{"192.0.2.1"}},
		{Name: "dis", SecretHashes: []string{b}, Disabled: true},
		{Name: "any", SecretHashes: []string{c}},
	}, nil, nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, kind Kind, from netip.Addr, want error) {
		t.Helper()
		err := rs.Recheck(&Principal{Kind: kind, Name: name}, &Credential{Remote: from})
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s from %s: %v, want %v", name, from, err, want)
		}
	}
	check("ci", KindRobot, here, nil)
	check("ci", KindRobot, netip.MustParseAddr("::ffff:192.0.2.1"), nil)
	check("ci", KindRobot, elsewhere, ErrForbiddenSource)
	check("ci", KindRobot, netip.Addr{}, ErrForbiddenSource)
	check("any", KindRobot, netip.Addr{}, nil)
	check("dis", KindRobot, here, ErrDisabled)
	check("gone", KindRobot, here, ErrDisabled)
	check("ci", KindUser, here, ErrDisabled)
	now = now.Add(time.Second)
	check("ci", KindRobot, here, ErrExpired)
}

func TestNewRobotsRefuses(t *testing.T) {
	secret, hash := NewSecret(SecretRobot)
	_, second := NewSecret(SecretRobot)
	ci := RobotConfig{Name: "ci", SecretHashes: []string{hash}}
	for _, test := range []struct {
		name string
		list []RobotConfig
		want string
	}{
		{"no name", []RobotConfig{{SecretHashes: []string{hash}}}, "name"},
		{"upper case", []RobotConfig{{Name: "CI", SecretHashes: []string{hash}}}, "name"},
		{"dollar", []RobotConfig{{Name: "robot$ci", SecretHashes: []string{hash}}}, "name"},
		{"two dots", []RobotConfig{{Name: "a..b", SecretHashes: []string{hash}}}, "name"},
		{"line end", []RobotConfig{{Name: "ci\n", SecretHashes: []string{hash}}}, "name"},
		{"long", []RobotConfig{{Name: strings.Repeat("a", 129), SecretHashes: []string{hash}}}, "name"},
		{"no secret", []RobotConfig{{Name: "ci"}}, "robot ci: secret_hash is missing"},
		{"empty secret", []RobotConfig{{Name: "ci", SecretHashes: []string{""}}}, "secret_hash: hash is empty"},
		{"secret and not hash", []RobotConfig{{Name: "ci", SecretHashes: []string{secret}}}, "secret_hash: this is a secret"},
		{"twice", []RobotConfig{ci, {Name: "ci", SecretHashes: []string{second}}}, "declared twice"},
		{"same secret", []RobotConfig{ci, {Name: "cd", SecretHashes: []string{hash}}}, "same id"},
		{"same login", []RobotConfig{ci, {Name: "robot-ci", SecretHashes: []string{second}}}, "both would log in"},
		{"expires", []RobotConfig{{Name: "ci", SecretHashes: []string{hash}, Expires: "tomorrow"}}, "expires"},
		{"from", []RobotConfig{{Name: "ci", SecretHashes: []string{hash}, From: []string{"10.0.0.0/33"}}}, "from"},
		{"from with host bits", []RobotConfig{{Name: "ci", SecretHashes: []string{hash}, From: []string{"10.1.2.3/8"}}}, "10.0.0.0/8"},
		{"from with a name", []RobotConfig{{Name: "ci", SecretHashes: []string{hash}, From: []string{"example.com"}}}, "from"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewRobots(test.list, nil, nil, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("error shows a secret")
			}
		})
	}
}

func TestParseSource(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "2001:db8::1": "2001:db8::1/128",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.1.2.3": "10.1.2.3/32", "0.0.0.0/0": "0.0.0.0/0",
		"": "", "fe80::1%eth0": "", "::ffff:0.0.0.0/90": "", "10.0.0.0": "10.0.0.0/32", "10.0/8": "",
	} {
		p, err := ParseSource(text)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

// A password takes the time of a slow hash whether its robot exists or not.
func TestRobotsUnknownTakesTime(t *testing.T) {
	_, hash := NewSecret(SecretRobot)
	h := &stubHash{secret: "right"}
	rs := newRobots(t, RobotConfig{Name: "fast", SecretHashes: []string{hash}}, RobotConfig{Name: "slow", SecretHashes: []string{quickArgon2}})
	rs.slow = [][]Hash{{h}}
	rs.byName["slow"].secrets[0].hash = h
	ch := NewChain([]Member{NewMember(RobotsName, rs)}, nil)
	for i, user := range []string{"slow", "robot$nobody", "fast", "nobody", "robot-nobody"} {
		if _, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: user, Secret: "wrong"}); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		if n := h.checks.Load(); n != int32(i+1) {
			t.Errorf("%s: %d checks in all, want %d", user, n, i+1)
		}
	}
	if _, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "nobody", Secret: "right"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("somebody else's password: %v", err)
	}
	before := h.checks.Load()
	_, _ = ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "nobody", Secret: someJWT})
	if h.checks.Load() != before {
		t.Error("a token costs a slow hash")
	}
}

// A plain name that a robot without a password has takes the way of a name that
// nobody has, through all authenticators.
func TestRobotNamesCannotBeToldByTime(t *testing.T) {
	_, hash := NewSecret(SecretRobot)
	h := &stubHash{secret: "right"}
	people, err := NewLocal(LocalConfig{Users: []LocalUser{{Name: "alice", PasswordHash: quickArgon2}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	people.table.users["alice"].hash, people.table.hashes = h, []Hash{h}
	ch := NewChain([]Member{NewMember(RobotsName, newRobots(t, RobotConfig{Name: "ci", SecretHashes: []string{hash}})), NewMember(LocalName, people)}, nil)
	for i, user := range []string{"alice", "ci", "robot-ci", "nobody", "robot-nobody"} {
		_, err := ch.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: user, Secret: fmt.Sprint("wrong", i)})
		if !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		if n := h.checks.Load(); n != int32(i+1) {
			t.Errorf("%s: %d checks in all, want %d", user, n, i+1)
		}
	}
}

// A name without a robot is given the looks of one robot, and always the same.
func TestPretendedRobotIsOneOfThoseInForce(t *testing.T) {
	cheap, dear := &stubHash{secret: "a"}, &stubHash{secret: "b"}
	rs := newRobots(t, RobotConfig{Name: "slow", SecretHashes: []string{quickArgon2}})
	rs.slow = [][]Hash{{cheap}, {dear, dear}}
	for i := range 40 {
		before := cheap.checks.Load() + dear.checks.Load()/2
		c := &Credential{Scheme: SchemeBasic, Username: fmt.Sprint("nobody", i), Secret: fmt.Sprint("wrong", i)}
		if err := rs.Equalize(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if after := cheap.checks.Load() + dear.checks.Load()/2; after > before+1 {
			t.Errorf("%d checks of robots, want one robot's", after-before)
		}
	}
	if cheap.checks.Load() == 0 || dear.checks.Load() == 0 {
		t.Error("all names look like one robot")
	}
}

func TestRobotHashesAreBoundedTogether(t *testing.T) {
	const cost16 = "$2a$16$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	if _, err := NewRobot(RobotConfig{Name: "ci", SecretHashes: []string{cost16}}); err != nil {
		t.Error(err)
	}
	if _, err := NewRobot(RobotConfig{Name: "ci", SecretHashes: []string{cost16, cost16}}); err == nil || !strings.Contains(err.Error(), "together") {
		t.Error(err)
	}
}

func TestRobotsCancelled(t *testing.T) {
	rs := newRobots(t, RobotConfig{Name: "slow", SecretHashes: []string{quickArgon2}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := rs.Authenticate(ctx, &Credential{Scheme: SchemeBasic, Username: "slow", Secret: "password"})
	if err != nil && (!errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInvalid)) {
		t.Errorf("a client that hung up: %v", err)
	}
}

func BenchmarkRobotSecret(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := make([]RobotConfig, n)
			var secret string
			for i := range list {
				s, hash := NewSecret(SecretRobot)
				list[i], secret = RobotConfig{Name: fmt.Sprintf("robot%d", i), SecretHashes: []string{hash}}, s
			}
			rs := newRobots(b, list...)
			ch := NewChain([]Member{NewMember(RobotsName, rs)}, NewThrottle(nil))
			c := &Credential{Scheme: SchemeBasic, Username: "robot$" + list[n-1].Name, Secret: secret, Remote: here}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ch.Authenticate(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRobotPasswordCached(b *testing.B) {
	rs := newRobots(b, RobotConfig{Name: "ci", SecretHashes: []string{quickBcrypt(b, "hunter2")}})
	c := &Credential{Scheme: SchemeBasic, Username: "ci", Secret: "hunter2", Remote: here}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := rs.Authenticate(context.Background(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// oneStored is a directory with one robot.
type oneStored struct{ *Robot }

func (d oneStored) RobotByName(name string) *Robot {
	if name != d.name {
		return nil
	}
	return d.Robot
}

func (d oneStored) RobotBySecret(id string) *Robot {
	if d.secret(id) == nil {
		return nil
	}
	return d.Robot
}

func (oneStored) SlowHashes() [][]Hash { return nil }

// TestStoredRobotOfATakenName: neither its secret nor anything that is said of it
// counts, where the configuration has its name.
func TestStoredRobotOfATakenName(t *testing.T) {
	secret, hash := NewSecret(SecretRobot)
	_, declared := NewSecret(SecretRobot)
	stored, err := NewRobot(RobotConfig{Name: "ci", SecretHashes: []string{hash}, Disabled: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, rs := range map[string]*Robots{
		"declared": newRobots(t, RobotConfig{Name: "ci", SecretHashes: []string{declared}}),
		"reserved": newRobots(t),
	} {
		rs.Follow(oneStored{stored})
		if name == "reserved" {
			rs.Reserve(map[string]string{"ci": "service_secret"})
		}
		for _, c := range []*Credential{
			{Scheme: SchemeBearer, Secret: secret},
			{Scheme: SchemeBasic, Username: "robot$ci", Secret: secret},
		} {
			if p, err := rs.Authenticate(t.Context(), c); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v, %v", name, p, err)
			}
		}
		// That it is disabled does not matter to a workload that acts as the other one.
		if err := rs.AdmitRobot("ci", netip.Addr{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := rs.Recheck(&Principal{Kind: KindRobot, Name: "ci", Origin: "robot_secret", OriginID: strings.Split(hash, ":")[1]}, &Credential{}); err == nil {
			t.Errorf("%s: a token of the stored robot goes on", name)
		}
	}
}
