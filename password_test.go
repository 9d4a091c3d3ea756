package registryauth_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// quickHash is a bcrypt hash that tests have the time for.
func quickHash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// passwordRealm has people of a file, declared ones, robots and CI jobs.
const passwordRealm = `
	public_url http://registry.test
	htpasswd FILE {
		groups FILE.groups
	}
	robot ci {
		secret_hash HASH
	}
	workload main ISSUER {
		audience registry.test
		require repository corp/app
	}
	local {
		prefix local-
		user admin {env.ADMIN_PW} {
			break_glass
		}
		user bob {
			password_hash {env.BOB_PW}
			group dev
		}
	}
	admin user:local-admin
	project team/** {
		allow pull user:alice robot:ci workload:main group:local-dev group:dev
	}
`

// passwordStage is a gateway with that realm and a users' file.
type passwordStage struct {
	*gateway
	realm, file string
	issuer      *jobIssuer
}

func startPasswordStage(t *testing.T) *passwordStage {
	t.Setenv("ADMIN_PW", quickHash(t, "in case of fire"))
	t.Setenv("BOB_PW", authn.HashPassword("two"))
	s := &passwordStage{file: filepath.Join(t.TempDir(), "users"), issuer: newJobIssuer(t)}
	s.write(t, "alice", "one", "zoe", "three")
	if err := os.WriteFile(s.file+".groups", []byte("dev: zoe\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.realm = strings.NewReplacer("FILE", s.file, "ISSUER", s.issuer.URL).Replace(passwordRealm)
	s.gateway = startGateway(t, s.realm)
	s.apart()
	return s
}

// write puts users and their passwords into the file.
func (s *passwordStage) write(t *testing.T, pairs ...string) {
	t.Helper()
	var text strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&text, "%s:%s\n", pairs[i], quickHash(t, pairs[i+1]))
	}
	if err := os.WriteFile(s.file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// within waits for what the gateway does in the background.
func within(t *testing.T, d time.Duration, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

func TestPasswordsGateway(t *testing.T) {
	s := startPasswordStage(t)
	job := s.issuer.token(t, nil)
	robot := s.robot
	for _, passwords := range []string{"on", "off"} {
		s.load(s.realm + "passwords " + passwords + "\n")
		off := passwords == "off"
		for _, c := range []struct {
			name, user, password string
			status               int
			off                  int
		}{
			{"htpasswd", "alice", "one", 200, 401},
			{"htpasswd by group", "zoe", "three", 200, 401},
			{"wrong", "alice", "two", 401, 401},
			{"unknown", "mallory", "one", 401, 401},
			{"local by group", "bob", "two", 200, 401},
			{"local wrong", "bob", "one", 401, 401},
			{"break glass", "admin", "in case of fire", 200, 200},
			{"break glass wrong", "admin", "one", 401, 401},
			{"robot", "robot$ci", robot, 200, 200},
			{"robot with a person's password", "robot$ci", "one", 401, 401},
			{"job", "anybody", job, 200, 200},
		} {
			t.Run(passwords+"/"+c.name, func(t *testing.T) {
				want := c.status
				if off {
					want = c.off
				}
				for _, path := range []string{manifest, "/v2/token?service=registry.test&scope=repository:team/app:pull"} {
					a := s.do("GET", path, "", basic(c.user, c.password))
					if a.StatusCode != want {
						t.Errorf("%s: %d %s, want %d", path, a.StatusCode, a.body, want)
					}
					told := strings.Contains(a.body, "switched off")
					if told != (off && want == 401 && !strings.HasPrefix(c.user, "robot$")) {
						t.Errorf("%s: %s", path, a.body)
					}
				}
			})
		}
	}
	var logged bool
	for _, line := range s.logLines("registry access") {
		reason, _ := line["reason"].(string)
		logged = logged || strings.HasPrefix(reason, "passwords of people are switched off")
	}
	if !logged {
		t.Error("the audit log does not say that passwords are off")
	}
}

// TestPasswordsOffEndsTokens: tokens that passwords were exchanged for.
func TestPasswordsOffEndsTokens(t *testing.T) {
	s := startPasswordStage(t)
	const scope = "repository:team/app:pull"
	alice, admin, robot := s.token(scope, basic("alice", "one")), s.token(scope, basic("admin", "in case of fire")), s.token(scope, basic("robot$ci", s.robot))
	s.load(s.realm + "passwords off\n")
	for name, c := range map[string]struct {
		token  string
		status int
	}{"alice": {alice, 401}, "admin": {admin, 200}, "robot": {robot, 200}} {
		if a := s.do("GET", manifest, "", bearer(c.token)); a.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, a.StatusCode, c.status)
		}
	}
}

// TestHtpasswdGateway changes the file while the gateway runs.
func TestHtpasswdGateway(t *testing.T) {
	s := startPasswordStage(t)
	alice := s.token("repository:team/app:pull", basic("alice", "one"))
	zoe := s.token("repository:team/app:pull", basic("zoe", "three"))
	status := func(options ...option) int { return s.do("GET", manifest, "", options...).StatusCode }

	s.write(t, "alice", "new", "zoe", "three")
	within(t, 3*time.Second, "the new password is good", func() bool { return status(basic("alice", "new")) == 200 })
	for name, got := range map[string]int{"old password": status(basic("alice", "one")), "its token": status(bearer(alice))} {
		if got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
	// Every hash is new, though the password is the same.
	if got := status(bearer(zoe)); got != 401 {
		t.Errorf("token of another hash: %d", got)
	}
	zoe = s.token("repository:team/app:pull", basic("zoe", "three"))
	if err := os.WriteFile(s.file+".groups", []byte("dev:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, "the group's token is refused", func() bool { return status(bearer(zoe)) == 401 })

	if err := os.WriteFile(s.file, []byte("alice:not-a-hash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const message = "the users' file cannot be used: those of before stay in force"
	within(t, 3*time.Second, "the broken file is logged", func() bool { return len(s.logLines(message)) > 0 })
	s.load(s.realm + "explain_denials\n")
	if got := status(basic("alice", "new")); got != 200 {
		t.Errorf("with a broken file: %d", got)
	}
	if reason := fmt.Sprint(s.logLines(message)); strings.Contains(reason, "not-a-hash") || !strings.Contains(reason, s.file+":1:") {
		t.Errorf("logged %s", reason)
	}
	if err := s.tryLoad(strings.Replace(s.realm, "groups "+s.file, "prefix file-\ngroups "+s.file, 1)); err == nil || !strings.Contains(err.Error(), s.file+":1:") {
		t.Errorf("a configuration with a broken file: %v", err)
	}
}

// TestThrottleGateway: who guesses is told to wait, and nobody else is.
func TestThrottleGateway(t *testing.T) {
	s := startPasswordStage(t)
	guess := func(user string, n int) (last answer) {
		for i := range n {
			last = s.do("GET", "/v2/", "", basic(user, "guess "+user+strconv.Itoa(i)))
		}
		return last
	}
	if a := guess("alice", 10); a.StatusCode != http.StatusUnauthorized {
		t.Fatalf("the tenth wrong password: %d", a.StatusCode)
	}
	waits := 0
	for i := range 3 {
		a := s.do("GET", "/v2/", "", basic("alice", "more"+strconv.Itoa(i)))
		wait, _ := strconv.Atoi(a.Header.Get("Retry-After"))
		if a.StatusCode != http.StatusTooManyRequests || a.code() != "TOOMANYREQUESTS" || wait <= waits {
			t.Errorf("guess %d: %d, Retry-After %d after %d", 11+i, a.StatusCode, wait, waits)
		}
		waits = wait
	}
	if a := s.do("GET", "/v2/token?service=registry.test", "", basic("alice", "more3")); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("at the token endpoint: %d", a.StatusCode)
	}
	for name, c := range map[string]struct {
		user, password string
		status         int
	}{
		"the right password":          {"alice", "one", 200},
		"another account":             {"bob", "two", 200},
		"another account's first":     {"bob", "wrong", 401},
		"an unknown account's first":  {"mallory", "wrong", 401},
		"a robot":                     {"robot$ci", s.robot, 200},
		"the same wrong secret again": {"zoe", "old", 401},
	} {
		for range 20 { // nor is the same again a further guess
			if a := s.do("GET", "/v2/", "", basic(c.user, c.password)); a.StatusCode != c.status {
				t.Fatalf("%s: %d, want %d", name, a.StatusCode, c.status)
			}
		}
	}
	elsewhere := *s.gateway
	elsewhere.client = &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext, DisableKeepAlives: true,
	}}
	if a := elsewhere.do("GET", "/v2/", "", basic("alice", "mistyped")); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the same account from another address: %d", a.StatusCode)
	}
	// A reload does not forget who has been guessing.
	s.load(s.realm + "explain_denials\n")
	if a := s.do("GET", "/v2/", "", basic("alice", "and more")); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("after a reload: %d", a.StatusCode)
	}
}

func TestPasswordConflicts(t *testing.T) {
	s := startPasswordStage(t)
	for _, c := range []struct{ from, to, want string }{
		{"prefix local-\n", "", "would both call their users by plain names"},
		{"user admin {env.ADMIN_PW}", "user admin {env.NOBODY_HAS_IT}", "password_hash"},
		{"\thtpasswd " + s.file, "\thtpasswd users", "not an absolute path"},
		{"\thtpasswd " + s.file, "\thtpasswd " + s.file + ".none", "no such file"},
		{"\trobot ci", "\tpasswords maybe\n\trobot ci", "on or off"},
	} {
		if err := s.tryLoad(strings.Replace(s.realm, c.from, c.to, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.to, err, c.want)
		}
	}
}
