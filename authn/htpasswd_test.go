package authn

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// htpasswdStage is an htpasswd file and its authenticator; time passes when it
// is told to.
type htpasswdStage struct {
	*Htpasswd
	t      *testing.T
	config HtpasswdConfig
	now    time.Time
	told   []string // of reloads: "" or what is wrong
}

func newHtpasswdStage(t *testing.T, text string, change func(*HtpasswdConfig)) *htpasswdStage {
	t.Helper()
	dir := t.TempDir()
	s := &htpasswdStage{t: t, now: time.Now(), config: HtpasswdConfig{File: filepath.Join(dir, "users"), GroupsFile: filepath.Join(dir, "groups")}}
	s.write(s.config.File, text)
	s.write(s.config.GroupsFile, "# of the platform\ndev: alice bob\nops: alice\ndev: carol\n\n")
	if change != nil {
		change(&s.config)
	}
	var err error
	s.Htpasswd, err = NewHtpasswd(s.config, HtpasswdOptions{Reloaded: func(_ int, err error) {
		text := ""
		if err != nil {
			text = err.Error()
		}
		s.told = append(s.told, text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *htpasswdStage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		s.t.Fatal(err)
	}
}

// pass lets a second pass, with the polls in it.
func (s *htpasswdStage) pass() {
	for range 3 {
		s.now = s.now.Add(htpasswdPoll)
		s.poll(s.now)
	}
}

func (s *htpasswdStage) try(user, password string) (*Principal, error) {
	return s.Authenticate(s.t.Context(), &Credential{Scheme: SchemeBasic, Username: user, Secret: password})
}

func TestHtpasswd(t *testing.T) {
	s := newHtpasswdStage(t, "# people\nalice:"+quickBcrypt(t, "one")+"\r\n\nbob:"+quickBcrypt(t, "two")+"\n", nil)
	p, err := s.try("alice", "one")
	if err != nil || p.Kind != KindUser || p.Name != "alice" || p.Credential != "password" || !slices.Equal(p.Groups, []string{"dev", "ops"}) {
		t.Fatalf("alice: %+v, %v", p, err)
	}
	if len(p.CredentialID) != 16 || strings.Contains(p.CredentialID, "$") {
		t.Errorf("credential id %q", p.CredentialID)
	}
	for _, c := range []struct {
		user, password string
		err            error
	}{{"alice", "two", ErrInvalid}, {"bob", "one", ErrInvalid}, {"carol", "one", ErrNotMine}, {"Alice", "one", ErrNotMine}, {"", "one", ErrNotMine}} {
		if _, err := s.try(c.user, c.password); !errors.Is(err, c.err) {
			t.Errorf("%s with %s: %v, want %v", c.user, c.password, err, c.err)
		}
	}
}

// TestHtpasswdReload walks through what happens to a file.
func TestHtpasswdReload(t *testing.T) {
	alice, bob := "alice:"+quickBcrypt(t, "one")+"\n", "bob:"+quickBcrypt(t, "two")+"\n"
	s := newHtpasswdStage(t, alice+bob, nil)
	p, err := s.try("alice", "one")
	if err != nil {
		t.Fatal(err)
	}
	token := *p
	token.Credential, token.Origin, token.OriginID = CredentialRegistryToken, p.Credential, p.CredentialID
	good := func(want bool) {
		t.Helper()
		_, err := s.try("alice", "one")
		recheck := s.Recheck(&token, nil)
		if (err == nil) != want || (recheck == nil) != want {
			t.Errorf("password %v, token %v", err, recheck)
		}
		if recheck != nil && !errors.Is(recheck, ErrDisabled) {
			t.Errorf("token: %v", recheck)
		}
	}
	good(true)

	s.write(s.config.File, alice+"bob:"+quickBcrypt(t, "three")+"\n")
	s.pass()
	good(true) // somebody else's
	s.write(s.config.File, "alice:"+quickBcrypt(t, "new")+"\n"+bob)
	s.pass()
	good(false)
	if _, err := s.try("alice", "new"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	s.write(s.config.File, alice+bob)
	s.pass()
	good(true)

	s.told = nil
	s.write(s.config.File, alice+"bob:plain\n")
	for range 30 {
		s.pass()
	}
	good(true) // as before
	if len(s.told) != 1 || !strings.Contains(s.told[0], s.config.File+":2: ") || strings.Contains(s.told[0], "plain") {
		t.Errorf("of a broken file is said %q", s.told)
	}
	if err := os.Remove(s.config.File); err != nil {
		t.Fatal(err)
	}
	s.pass()
	good(true)
	s.write(s.config.File, bob)
	s.pass()
	if good(false); len(s.told) != 3 || s.told[2] != "" {
		t.Errorf("said %q", s.told)
	}

	s.write(s.config.File, alice)
	s.write(s.config.GroupsFile, "ops: alice\n")
	s.pass()
	if err := s.Recheck(&token, nil); !errors.Is(err, ErrDisabled) {
		t.Errorf("a token of a group that was left: %v", err)
	}
	token.Groups = nil // as the policy names none
	good(true)
}

// A file that is being written is not read.
func TestHtpasswdSettles(t *testing.T) {
	alice := "alice:" + quickBcrypt(t, "one") + "\n"
	s := newHtpasswdStage(t, alice, nil)
	text := ""
	for range 8 {
		text += "#\n"
		s.write(s.config.File, text)
		s.now = s.now.Add(htpasswdPoll)
		s.poll(s.now)
		if _, err := s.try("alice", "one"); err != nil {
			t.Fatalf("a file half written is in force: %v", err)
		}
	}
	s.write(s.config.File, text+alice)
	s.pass()
	if _, err := s.try("alice", "one"); err != nil || len(s.told) != 1 {
		t.Errorf("afterwards: %v, %q", err, s.told)
	}
}

func TestHtpasswdPrefix(t *testing.T) {
	s := newHtpasswdStage(t, "alice:"+quickBcrypt(t, "one")+"\n", func(c *HtpasswdConfig) { c.Prefix = "file-" })
	p, err := s.try("alice", "one")
	if err != nil || p.Name != "file-alice" || !slices.Equal(p.Groups, []string{"file-dev", "file-ops"}) || s.Name() != "htpasswd:file-" {
		t.Errorf("%s: %+v, %v", s.Name(), p, err)
	}
	if _, err := s.try("file-alice", "one"); !errors.Is(err, ErrNotMine) {
		t.Errorf("with the prefix: %v", err)
	}
	if err := s.Recheck(p, nil); err != nil {
		t.Errorf("recheck: %v", err)
	}
	if err := s.Recheck(&Principal{Kind: KindUser, Name: "alice"}, nil); err == nil {
		t.Error("a user of another authenticator is taken for ours")
	}
}

func TestHtpasswdRefuses(t *testing.T) {
	good := "alice:" + quickBcrypt(t, "one") + "\n"
	for name, text := range map[string]string{
		"no colon":      good + "bob\n",
		"plain text":    good + "bob:hunter2\n",
		"crypt":         good + "bob:rl0uE1aHyXMGs\n",
		"APR1":          good + "bob:$apr1$ab$eIePjsejfBGR8ITtu2z0U1\n",
		"SHA":           good + "bob:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n",
		"sha512crypt":   good + "bob:$6$salt$hash\n",
		"bcrypt cost":   good + "bob:$2y$17$" + strings.Repeat("a", 53) + "\n",
		"twice":         good + good,
		"no name":       good + good[5:],
		"a robot":       good + "robot$ci" + good[5:],
		"white space":   good + "b ob" + good[5:],
		"not UTF-8":     good + "b\xffob" + good[5:],
		"another field": good + strings.TrimSpace(strings.Replace(good, "alice", "bob", 1)) + ":x\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "users")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := NewHtpasswd(HtpasswdConfig{File: file}, HtpasswdOptions{})
			if err == nil || !strings.Contains(err.Error(), file+":2: ") {
				t.Fatalf("error %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "$ab$") {
				t.Errorf("error shows the hash: %v", err)
			}
		})
	}
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxPasswordFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []HtpasswdConfig{{}, {File: "users"}, {File: dir}, {File: filepath.Join(dir, "none")}, {File: large}, {File: large, Prefix: "a:"}} {
		if _, err := NewHtpasswd(c, HtpasswdOptions{}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func TestHtpasswdLegacy(t *testing.T) {
	s := newHtpasswdStage(t, "alice:$apr1$sFh8doMg$Ihrpg.j.8Ut9PvsW2nal/1\nbob:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n",
		func(c *HtpasswdConfig) { c.InsecureLegacyHashes = true })
	for _, user := range []string{"alice", "bob"} {
		p, err := s.try(user, "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Recheck(&Principal{Kind: KindUser, Name: user, Origin: p.Credential, OriginID: p.CredentialID}, nil); err != nil {
			t.Errorf("recheck: %v", err)
		}
		if _, err := s.try(user, "wrong"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s with a wrong password: %v", user, err)
		}
	}
}

func BenchmarkHtpasswd(b *testing.B) {
	file := filepath.Join(b.TempDir(), "users")
	// Made by htpasswd -B -C 12.
	if err := os.WriteFile(file, []byte("alice:$2y$12$3FuHf52D5B0b6Ksuj4/rZ.pGMa3eyoZlDmSN0mnquBeFQIQdRUO4K\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	h, err := NewHtpasswd(HtpasswdConfig{File: file}, HtpasswdOptions{})
	if err != nil {
		b.Fatal(err)
	}
	c := &Credential{Scheme: SchemeBasic, Username: "alice", Secret: "password"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Authenticate(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
