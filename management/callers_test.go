package management

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// TestRobotsAreBoundedByTheirRecord: what a robot makes is bounded by where and
// until when it is accepted itself, whoever says so.
func TestRobotsAreBoundedByTheirRecord(t *testing.T) {
	early, late := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	_, hash := authn.NewSecret(authn.SecretRobot)
	s := newStage(t, func(o *Options) {
		o.Declared.Robots = append(o.Declared.Robots, DeclaredRobot{RobotConfig: authn.RobotConfig{Name: "bound", SecretHashes: []string{hash}, From: []string{"10.0.0.0/8"}, Expires: "2028-01-01"}})
		o.Declared.ServiceNetworks = map[string][]string{"scanner": {"192.0.2.7"}}
	})
	var tx state.Tx
	for _, name := range []string{"stored", "declared", "scanner"} {
		state.Put(&tx, s.state.Robots, name, &state.Robot{Name: name, From: []string{"172.16.0.0/12"}, Expires: late}, state.Absent)
	}
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		robot   string
		by      string
		expires time.Time // of the principal
		from    string
		want    time.Time
	}{
		"declared":                       {"bound", authn.RobotsName, time.Time{}, "10.0.0.0/8", late},
		"declared, by an earlier secret": {"bound", authn.RobotsName, early, "10.0.0.0/8", early},
		"declared, by a later one":       {"bound", authn.RobotsName, late.Add(time.Hour), "10.0.0.0/8", late},
		"declared, by a certificate":     {"bound", "mtls", early, "10.0.0.0/8", late},
		"declared without bounds":        {"declared", authn.RobotsName, time.Time{}, "", time.Time{}},
		"declared, by what ends":         {"declared", authn.RobotsName, early, "", early},
		"stored":                         {"stored", authn.RobotsName, time.Time{}, "172.16.0.0/12", late},
		"a service":                      {"scanner", "service_secret", time.Time{}, "192.0.2.7", time.Time{}},
		"one that nobody knows":          {"nobody", "mtls", time.Time{}, "", time.Time{}},
	} {
		from, expires := s.manager.robotBounds(&authn.Principal{Kind: authn.KindRobot, Name: test.robot, Authenticator: test.by, Expires: test.expires})
		if strings.Join(from, " ") != test.from || !expires.Equal(test.want) {
			t.Errorf("%s: from %v until %s, want %q, %s", name, from, expires, test.from, test.want)
		}
	}
	for name, test := range map[string]struct {
		p       *authn.Principal
		want    bool
		browser bool
	}{
		"a session":        {&authn.Principal{Kind: authn.KindUser, Name: "x", Credential: CredentialSession}, true, true},
		"a person":         {&authn.Principal{Kind: authn.KindUser, Name: "x", Credential: "id_token"}, true, false},
		"nobody":           {authn.Anonymous, false, false},
		"a registry token": {&authn.Principal{Kind: authn.KindUser, Name: "x", Credential: authn.CredentialRegistryToken}, false, false},
		"a refresh token":  {&authn.Principal{Kind: authn.KindUser, Name: "x", Credential: "identity_token"}, false, false},
		"no such token":    {&authn.Principal{Kind: authn.KindUser, Name: "x", Credential: state.CredentialToken, CredentialID: "x"}, false, false},
	} {
		c, err := s.manager.Caller(test.p)
		if (err == nil) != test.want || err == nil && c.browser != test.browser {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// TestMembersGetNoMoreThanIsHeld: whoever manages a project gives what they
// hold on all of it.
func TestMembersGetNoMoreThanIsHeld(t *testing.T) {
	s := newStage(t)
	s.admin("POST", "/projects", `{"name":"mine","patterns":["team-a/web/**"],"members":[]}`).want(201)
	for body, want := range map[string]int{
		`{"actions":["pull","list"]}`: 201, `{"role":"developer"}`: 422, `{"actions":["delete"]}`: 422, `{"role":"project_admin"}`: 422,
	} {
		s.admin("DELETE", "/projects/mine/members/user:x", "")
		if got := s.call("carol", "PUT", "/projects/mine/members/user:x", body).status; got != want && (want != 201 || got != 200) {
			t.Errorf("carol gives %s: %d, want %d", body, got, want)
		}
	}
	s.admin("POST", "/projects", `{"name":"wide","patterns":["team-a/web/**","team-b/**"],"members":[]}`)
	if got := s.call("alice", "PUT", "/projects/wide/members/user:x", `{"actions":["push"]}`).status; got < 400 {
		t.Errorf("alice gives what she does not hold on a part of it: %d", got)
	}
}

// TestKeysOfTheConfigurationAreWhole, whether they stand there or their hash.
func TestKeysOfTheConfigurationAreWhole(t *testing.T) {
	secret, hash := authn.NewSecret(authn.SecretAPIKey)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	forged, _ := authn.RenewSecret(authn.SecretAPIKey, parsed.ID)
	s := newStage(t, func(o *Options) {
		o.Config.APIKeys = append(o.Config.APIKeys, StaticKeyConfig{Name: "hashed", Key: "{env.H}", Scopes: []string{"robots:read"}, Source: "Caddyfile:4"})
		o.StaticKeys = append(o.StaticKeys, hash)
	})
	for key, want := range map[string]int{
		secret: 200, forged: 401, adminKey: 200, adminKey[1:]: 401, adminKey + "x": 401, "": 401,
	} {
		if got := s.call(key, "GET", "/robots", nil).status; got != want {
			t.Errorf("%.20q: %d, want %d", key, got, want)
		}
	}
	stored := s.call(adminKey, "POST", "/keys", `{"name":"k","scopes":["robots:read"]}`).want(201).text("secret")
	parsedStored, err := authn.ParseSecret(stored)
	if err != nil {
		t.Fatal(err)
	}
	forgedStored, _ := authn.RenewSecret(authn.SecretAPIKey, parsedStored.ID)
	s.call(stored, "GET", "/robots", nil).want(200)
	s.call(forgedStored, "GET", "/robots", nil).want(401)
	for name, test := range map[string]struct {
		list   []StaticKeyConfig
		values []string
		want   bool
	}{
		"good":                {[]StaticKeyConfig{{Name: "a"}}, []string{strings.Repeat("abcdefgh", 4)}, true},
		"a hash":              {[]StaticKeyConfig{{Name: "a"}}, []string{hash}, true},
		"a short one":         {[]StaticKeyConfig{{Name: "a"}}, []string{strings.Repeat("abcdefgh", 4)[1:]}, false},
		"without a name":      {[]StaticKeyConfig{{}}, []string{strings.Repeat("abcdefgh", 4)}, false},
		"twice":               {[]StaticKeyConfig{{Name: "a"}, {Name: "a"}}, []string{strings.Repeat("abcdefgh", 4), strings.Repeat("bcdefghi", 4)}, false},
		"without a value":     {[]StaticKeyConfig{{Name: "a"}}, nil, false},
		"a hash that is none": {[]StaticKeyConfig{{Name: "a"}}, []string{"sha256:x:y"}, false},
		"from nowhere":        {[]StaticKeyConfig{{Name: "a", From: []string{"x"}}}, []string{strings.Repeat("abcdefgh", 4)}, false},
		"for nothing known":   {[]StaticKeyConfig{{Name: "a", Scopes: []string{"x"}}}, []string{strings.Repeat("abcdefgh", 4)}, false},
	} {
		if _, err := staticKeys(test.list, test.values); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
