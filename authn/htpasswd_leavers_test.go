package authn

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestWhoLeavesAFileAndComesBack is somebody else: what was issued to the one
// before ends, and what is issued afterwards does not.
func TestWhoLeavesAFileAndComesBack(t *testing.T) {
	line := func(name string) string { return name + ":" + quickBcrypt(t, "pw") + "\n" }
	s := newHtpasswdStage(t, line("alice")+line("bob"), func(c *HtpasswdConfig) { c.Prefix = "f-" })
	of := func(name string, issued time.Time) *Principal {
		return &Principal{Kind: KindUser, Name: "f-" + name, Authenticator: s.Name(), Issued: issued}
	}
	began := time.Now()
	if !s.Missing(of("alice", began)).IsZero() || s.Missing(of("carol", began)).After(began) || s.Missing(of("carol", began)).IsZero() || s.Changes() != 0 {
		t.Errorf("missing since %s and %s", s.Missing(of("alice", began)), s.Missing(of("carol", began)))
	}
	s.write(s.config.File, line("bob"))
	s.pass()
	left := s.Missing(of("alice", began))
	if left.Before(began) || !s.Missing(of("bob", began)).IsZero() || s.Changes() != 1 {
		t.Fatalf("missing since %s, %d changes", left, s.Changes())
	}
	s.write(s.config.File, line("alice"))
	s.pass()
	for name, test := range map[string]struct {
		who  *Principal
		want error
	}{
		"issued before":           {of("alice", began), ErrGone},
		"issued after":            {of("alice", time.Now().Add(time.Second)), nil},
		"issued nobody knows":     {of("alice", time.Time{}), nil},
		"of the one who has left": {of("bob", time.Now().Add(time.Second)), ErrDisabled},
	} {
		if err := s.Recheck(test.who, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if again := s.Missing(of("alice", began)); !again.Equal(left) || s.Missing(of("bob", began)).Before(left) || s.Changes() != 2 {
		t.Errorf("missing since %s and %s, %d changes", again, s.Missing(of("bob", began)), s.Changes())
	}
}

// TestFilesOfUsersAreBounded, and of the forms that are told.
func TestFilesOfUsersAreBounded(t *testing.T) {
	good := "alice:" + quickBcrypt(t, "pw") + "\n"
	s := newHtpasswdStage(t, good, nil)
	s.write(s.config.File, good+strings.Repeat("#", maxPasswordFile-len(good)))
	if _, err := readPasswordFile(s.config.File); err != nil {
		t.Error(err)
	}
	s.write(s.config.File, good+strings.Repeat("#", maxPasswordFile-len(good)+1))
	if _, err := readPasswordFile(s.config.File); err == nil {
		t.Error("a larger file is read")
	}
	if _, err := readPasswordFile(t.TempDir()); err == nil {
		t.Error("a folder is read")
	}
	if err := os.Remove(s.config.File); err != nil {
		t.Fatal(err)
	}
	if _, err := readPasswordFile(s.config.File); err == nil || !lookAt(s.config.File).same(lookAt(s.config.File)) {
		t.Errorf("a file that is gone: %v", err)
	}
	s.write(s.config.File, good)
	if lookAt(s.config.File).same(passwordFile{}) || (passwordFile{}).same(lookAt(s.config.File)) {
		t.Error("a file that is there is the same as none")
	}
	for text, want := range map[string]bool{"dev: alice": true, ": alice": false, "d\nev: alice": false, "a\xff: alice": false, "dev alice": false, "# dev": true, "": true} {
		if _, err := parseGroups(passwordFile{path: "groups", text: []byte(text)}); (err == nil) != want {
			t.Errorf("groups %q: %v", text, err)
		}
	}
	bcrypt := quickBcrypt(t, "pw")
	for stored, want := range map[string]bool{"$2a$" + bcrypt[4:]: true, "$2b$" + bcrypt[4:]: true, "$2y$" + bcrypt[4:]: true, "$2x$" + bcrypt[4:]: false, "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=": false, quickArgon2: false} {
		if _, err := parseHtpasswdHash(stored, false); (err == nil) != want {
			t.Errorf("%s: %v", stored, err)
		}
	}
	if _, err := parseHtpasswdHash("{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", true); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		c    HtpasswdConfig
		want bool
	}{
		"good": {HtpasswdConfig{File: "/users"}, true}, "with groups": {HtpasswdConfig{File: "/users", GroupsFile: "/groups"}, true}, "relative": {HtpasswdConfig{File: "users"}, false},
		"relative groups": {HtpasswdConfig{File: "/users", GroupsFile: "groups"}, false}, "a strange prefix": {HtpasswdConfig{File: "/users", Prefix: "a\nb"}, false}, "none": {HtpasswdConfig{}, false},
	} {
		if err := test.c.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewHtpasswd(HtpasswdConfig{File: s.config.File}, HtpasswdOptions{}); err != nil || htpasswdName("") != "htpasswd" || htpasswdName("x-") != "htpasswd:x-" {
		t.Error(err)
	}
}

// TestFilesAreReadAgainWhenTheyChange: the groups as well as the users, and in
// place as well as replaced.
func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	line := func(name string) string { return name + ":" + quickBcrypt(t, "pw") + "\n" }
	s := newHtpasswdStage(t, line("alice"), nil)
	alice := &Principal{Kind: KindUser, Name: "alice", Authenticator: s.Name()}
	groups := func() string { return strings.Join(s.GroupsNow(alice), " ") }
	if groups() != "dev ops" {
		t.Fatalf("in %q", groups())
	}
	s.write(s.config.GroupsFile, "dev: alice\n")
	if s.pass(); groups() != "dev" {
		t.Errorf("a groups file that was replaced: in %q", groups())
	}
	inPlace := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(s.config.GroupsFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(s.config.GroupsFile, at, at); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-time.Hour)
	inPlace("qa: alice\n", then)
	if s.pass(); groups() != "qa" {
		t.Errorf("one that was written in place: in %q", groups())
	}
	inPlace("ops: alice\n", then)
	if s.pass(); groups() != "ops" {
		t.Errorf("one of another size: in %q", groups())
	}
	inPlace("abc: alice\n", then.Add(time.Second))
	if s.pass(); groups() != "abc" {
		t.Errorf("one of another time: in %q", groups())
	}
	before := len(s.told)
	s.pass()
	if len(s.told) != before {
		t.Error("read again without a change")
	}
	s.write(s.config.GroupsFile, "broken")
	if s.pass(); groups() != "abc" || s.told[len(s.told)-1] == "" {
		t.Errorf("one that is broken: in %q, told %q", groups(), s.told)
	}
	s.write(s.config.GroupsFile, "dev: alice\n")
	if s.pass(); groups() != "dev" || s.told[len(s.told)-1] != "" {
		t.Errorf("one that was mended: in %q, told %q", groups(), s.told)
	}
}
