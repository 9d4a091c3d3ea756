package authn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRobotLoginsAreShownToNobodyElse puts those who ask others before the
// robots: a login name with a prefix that the realm has for robots is not
// shown to them, in whatever spelling, and no other one is kept from them.
func TestRobotLoginsAreShownToNobodyElse(t *testing.T) {
	for _, test := range []struct {
		prefixes      []string // nil: the default ones
		robot, person []string
	}{
		{nil, []string{"robot$old", "ROBOT$old", "robot-old", "Robot-old"}, []string{"bot.old"}},
		{[]string{"bot$", "bot."}, []string{"bot$old", "bot.old", "BOT.old", "Bot$nobody", "robot$old"}, []string{"robot-old"}},
		{[]string{"robot_x$", "robot-"}, []string{"robot_x$old", "robot-old"}, []string{"bot.old"}},
	} {
		robots, err := NewRobots([]RobotConfig{{Name: "old", SecretHashes: []string{quickBcrypt(t, "chosen")}}}, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.prefixes != nil {
			robots.SetPrefixes(test.prefixes)
		}
		directory, service := newFakeDirectory(), newAskedService(t, says(404, ``))
		ldap := directory.authenticator(t, &testClock{}, nil)
		external, err := NewExternal(ExternalConfig{URL: service.URL}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		provider := newTokenServer(t)
		exchange := provider.authenticator(t, withPasswords)
		asked := func() int32 {
			return int32(len(directory.asked)) + service.questions.Load() + provider.asked.Load()
		}
		chain := func(first ...Member) *Chain { return NewChain(append(first, NewMember(RobotsName, robots)), nil) }
		all := []*Chain{
			chain(NewMember("ldap", ldap), NewMember("external", external), NewMember("exchange", exchange)),
			chain(NewMember("exchange", exchange)), chain(NewMember("external", external)),
			chain(NewMember("ldap", ldap), NewMember("external", external), NewMember("exchange", exchange)).WithoutPasswords(),
		}
		for i, ch := range all {
			before := asked()
			for _, name := range test.robot {
				for _, secret := range []string{"chosen", "wrong"} {
					p, err := ch.Authenticate(t.Context(), password(name, secret))
					known := secret == "chosen" && name == strings.ToLower(name) && (robots.byLogin(name) != nil)
					if known != (err == nil) || !known && !errors.Is(err, ErrInvalid) {
						t.Errorf("%v, chain %d: %s with the password %q: %v, %v", test.prefixes, i, name, secret, p, err)
					}
				}
			}
			if n := asked() - before; n != 0 {
				t.Errorf("%v, chain %d: passwords of robots were shown to others %d times", test.prefixes, i, n)
			}
		}
		for _, name := range test.person {
			for i, ch := range all[:3] {
				before := asked()
				_, _ = ch.Authenticate(t.Context(), password(name, fmt.Sprint("person", i)))
				if asked() == before {
					t.Errorf("%v, chain %d: nobody was asked about %s", test.prefixes, i, name)
				}
			}
		}
	}
}

// TestRobotLoginsAndPasswordsOff: what is a robot's name is not said to be a
// password of somebody.
func TestRobotLoginsAndPasswordsOff(t *testing.T) {
	robots, err := NewRobots(nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	robots.SetPrefixes([]string{"bot$"})
	off := NewChain([]Member{NewMember(RobotsName, robots)}, nil).WithoutPasswords()
	for name, person := range map[string]bool{"bot$ci": false, "BOT$ci": false, "robot$ci": false, "alice": true} {
		_, err := off.Authenticate(t.Context(), password(name, "pw"))
		if told := errors.As(err, new(*PasswordsOffError)); told != person {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThrottleCountsRobotsOnce: by whatever prefix of the realm a robot is
// tried, it is one account.
func TestThrottleCountsRobotsOnce(t *testing.T) {
	robots, err := NewRobots(nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	robots.SetPrefixes([]string{"Bot$", "bot."})
	ch := NewChain([]Member{NewMember(RobotsName, robots)}, NewThrottle(nil))
	spellings := []string{"ci", "bot$ci", "bot.ci", "BOT.CI", " Ci"}
	for i := range strikeLimit + 1 {
		c := password(spellings[i%len(spellings)], fmt.Sprint(i))
		c.Remote = here
		_, err := ch.Authenticate(t.Context(), c)
		if throttled := errors.As(err, new(*ThrottledError)); throttled != (i == strikeLimit) {
			t.Errorf("guess %d: %v", i+1, err)
		}
	}
	c := password("robot-ci", "another")
	c.Remote = here
	if _, err := ch.Authenticate(t.Context(), c); errors.As(err, new(*ThrottledError)) {
		t.Errorf("robot-ci is another account where that is no prefix: %v", err)
	}
}

func TestCheckRobotPrefixes(t *testing.T) {
	for _, prefix := range []string{"", " bot", "bot:", "bot\n", "\xff", strings.Repeat("b", 65)} {
		if err := CheckRobotPrefixes([]string{"bot$", prefix}); err == nil || !strings.Contains(err.Error(), "robot_prefix") {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	if err := CheckRobotPrefixes(append([]string{"bot$", "bot."}, DefaultRobotPrefixes...)); err != nil {
		t.Error(err)
	}
}
