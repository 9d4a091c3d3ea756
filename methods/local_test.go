package methods

import (
	"reflect"
	"strings"
	"testing"

	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// read gives a text to a module as a Caddyfile does.
func read(to caddycf.Unmarshaler, text string) error {
	return to.UnmarshalCaddyfile(caddycf.NewTestDispenser(text))
}

const passwordHash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

func TestLocal(t *testing.T) {
	var got Local
	err := read(&got, `local {
		prefix local-
		user alice `+passwordHash+`
		user bob {env.BOB_HASH} dev ops
		user root `+passwordHash+` {
			group ops
			break_glass
		}
		user carol {
			password_hash {file./run/secrets/carol}
			group dev
			group ops
			disabled
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := authn.LocalConfig{Prefix: "local-", Users: []authn.LocalUser{
		{Name: "alice", PasswordHash: passwordHash, Groups: []string{}},
		{Name: "bob", PasswordHash: "{env.BOB_HASH}", Groups: []string{"dev", "ops"}},
		{Name: "root", PasswordHash: passwordHash, Groups: []string{"ops"}, BreakGlass: true},
		{Name: "carol", PasswordHash: "{file./run/secrets/carol}", Groups: []string{"dev", "ops"}, Disabled: true},
	}}
	if !reflect.DeepEqual(got.LocalConfig, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHtpasswd(t *testing.T) {
	var got Htpasswd
	err := read(&got, "htpasswd /etc/users {\ngroups /etc/groups\nprefix file-\ninsecure_legacy_hashes\n}")
	want := authn.HtpasswdConfig{File: "/etc/users", GroupsFile: "/etc/groups", Prefix: "file-", InsecureLegacyHashes: true}
	if err != nil || !reflect.DeepEqual(got.HtpasswdConfig, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestPasswordErrors(t *testing.T) {
	for text, want := range map[string]string{
		"local alice":                "local takes a block",
		"local {\n}":                 "no user",
		"local {\nusr a\n}":          `did you mean "user"`,
		"local {\nuser\n}":           "Testfile:2",
		"local {\nuser a\n}":         "hash-password",
		"local {\nuser a hunter2\n}": "Testfile:2",
		"local {\nuser a " + "sha256:abcdefghijkl:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" + "\n}": "sha256 is for secrets of robots",
		"local {\nuser a {http.request.uri}\n}":                                                        "absolute path",
		"local {\nuser a {env.A}\nuser a {env.A}\n}":                                                   "already declared",
		"local {\nuser a {env.A} {\npassword_hash {env.B}\n}\n}":                                       "already specified",
		"htpasswd":                     "Testfile:1",
		"htpasswd a b":                 "Testfile:1",
		"htpasswd /a {\ngroup /b\n}":   `did you mean "groups"`,
		"htpasswd /a {\nprefix a b\n}": "Testfile:2",
	} {
		var to caddycf.Unmarshaler = new(Htpasswd)
		if strings.HasPrefix(text, "local") {
			to = new(Local)
		}
		err := read(to, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2\"") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
