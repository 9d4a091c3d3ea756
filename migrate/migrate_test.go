package migrate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

const someHash = "$2y$10$7IvSNW1iJqAg3DbfTNlIV.XMvg9/CKC6wJMQMEfXZ2I.UYt1viqVS"

// rightsOf are the permissions of a robot in one line.
func rightsOf(r *Result, name string) string {
	for _, robot := range r.Document.Robots {
		if robot.Name != name {
			continue
		}
		var list []string
		for _, p := range robot.Permissions {
			list = append(list, fmt.Sprintf("%s:%s", strings.Join(p.Actions, ","), p.Name))
		}
		return strings.Join(list, " ")
	}
	return "none"
}

// TestFirstEntryCounts holds the rights of one user to what docker_auth would
// decide: never more.
func TestFirstEntryCounts(t *testing.T) {
	tests := []struct {
		name, acl, want string
		lost            string
	}{
		{"everything", `[{match: {account: ci}, actions: ["*"]}]`, "*:catalog pull,push,delete:**", ""},
		{"somebody else's", `[{match: {account: cd}, actions: ["*"]}]`, "", "account cd is not in this file"},
		{"nobody's in particular", `[{match: {name: "a/*"}, actions: [pull]}]`, "pull:a/*", ""},
		{"a regular expression of accounts", `[{match: {account: "/^c/", name: "a/*"}, actions: [pull]}]`, "pull:a/*", ""},
		{"a pattern of accounts", `[{match: {account: "c?", name: "a/*"}, actions: [pull]}]`, "pull:a/*", ""},
		{"another pattern", `[{match: {account: "d*"}, actions: [pull]}]`, "", ""},
		{"one's own", `[{match: {account: "/.+/", name: "${account}/*"}, actions: [push, pull]}]`, "pull,push:ci/*", ""},
		{"covered by an earlier one", `[{match: {name: "a/*"}, actions: [pull]}, {match: {name: "a/b"}, actions: ["*"]}]`, "pull:a/*", ""},
		{"an exception", `[{match: {name: "a/secret"}, actions: []}, {match: {name: "a/*"}, actions: [pull]}]`, "", "[pull] on a/*"},
		{"less first", `[{match: {name: "a/x"}, actions: [pull]}, {match: {name: "a/*"}, actions: [pull, push]}]`, "pull:a/x pull:a/*", "[push] on a/*"},
		{"more first", `[{match: {name: "a/x"}, actions: ["*"]}, {match: {name: "a/*"}, actions: [pull]}]`, "pull,push,delete:a/x pull:a/*", ""},
		{"beside each other", `[{match: {name: "a/*"}, actions: []}, {match: {name: "b/*"}, actions: [pull]}]`, "pull:b/*", ""},
		{"crossing", `[{match: {name: "*/x"}, actions: []}, {match: {name: "a/*"}, actions: [pull]}]`, "", "[pull] on a/*"},
		{"an address first", `[{match: {name: "a/*", ip: 10.0.0.0/8}, actions: []}, {match: {name: "a/*"}, actions: [pull]}]`, "", "it depends on the address 10.0.0.0/8"},
		{"an address that gives as much", `[{match: {ip: 10.0.0.0/8}, actions: ["*"]}, {match: {name: "a/*"}, actions: [pull]}]`, "pull:a/*", "it depends on"},
		{"labels", `[{match: {labels: {team: x}}, actions: [pull]}]`, "", "labels"},
		{"a regular expression of names first", `[{match: {name: "/secret/"}, actions: []}, {match: {name: "a/*"}, actions: [pull]}]`, "", "is no pattern of ours"},
		{"question marks", `[{match: {name: "a?"}, actions: [pull]}]`, "", "is no pattern of ours"},
		{"other variables", `[{match: {name: "${labels:team}/*"}, actions: [pull]}]`, "", "is no pattern of ours"},
		{"two stars are one", `[{match: {name: "a/**"}, actions: [pull]}]`, "pull:a/*", ""},
		{"the catalog", `[{match: {type: registry, name: catalog}, actions: ["*"]}]`, "*:catalog", ""},
		{"not the catalog", `[{match: {type: registry}, actions: []}, {match: {account: ci}, actions: ["*"]}]`, "pull,push,delete:**", ""},
		{"the catalog from an address", `[{match: {type: registry, ip: 10.0.0.1}, actions: []}, {match: {account: ci}, actions: ["*"]}]`, "pull,push,delete:**", "it depends on"},
		{"repositories only", `[{match: {type: repository}, actions: ["*"]}]`, "pull,push,delete:**", ""},
		{"who has not logged in", `[{match: {account: ""}, actions: [pull]}]`, "", "who has not logged in"},
	}
	for _, test := range tests {
		r, err := DockerAuth([]byte("users: {ci: {password: \"" + someHash + "\"}}\nacl: " + test.acl))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := rightsOf(r, "ci"); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if lost := strings.Join(r.Lost, "\n"); !strings.Contains(lost, test.lost) || test.lost == "" && lost != "" {
			t.Errorf("%s: lost %q", test.name, lost)
		}
	}
}

func TestDockerAuthSections(t *testing.T) {
	r, err := DockerAuth([]byte("ldap_auth: {addr: x}\nmongo_auth: {}\nusers: {'': {}, A: {password: x}, md: {password: $1$x}, none: {}}\nacl: [{match: {name: 'a/*'}, actions: [pull]}]\n"))
	if err != nil || len(r.Document.Robots) != 0 {
		t.Fatalf("%v %v", r, err)
	}
	lost := strings.Join(r.Lost, "\n")
	for _, want := range []string{"ldap_auth: say `ldap`", "mongo_auth: there is nothing", "user A: ", "user md: the password is hashed with MD5", "user none: it has no password", "acl entry 1: it is for who has not logged in, too", "acl entry 1: it is for accounts that are not in this file"} {
		if !strings.Contains(lost, want) {
			t.Errorf("no %q in\n%s", want, lost)
		}
	}
	for _, bad := range []string{"", "x: 1", "[1]", "users: [1]", "acl: {a: b}"} {
		if _, err := DockerAuth([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestHtpasswd(t *testing.T) {
	rights := []management.Permission{{Name: "**", Actions: []string{"pull"}}}
	text := "# c\r\n\nci:" + someHash + "\r\nci:" + someHash + "\nsha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nbroken:$2y$10$short\nB:" + someHash + "\nplain:password\n"
	r, err := Htpasswd([]byte(text), rights)
	if err != nil || len(r.Document.Robots) != 1 || rightsOf(r, "ci") != "pull:**" || r.Document.Robots[0].SecretHashes[0] != someHash {
		t.Fatalf("%+v %v", r, err)
	}
	lost := strings.Join(r.Lost, "\n")
	for _, want := range []string{"user ci: line 4", "user sha: the password is hashed with SHA-1", "user broken: bcrypt", "user B: robot name", "user plain: "} {
		if !strings.Contains(lost, want) {
			t.Errorf("no %q in\n%s", want, lost)
		}
	}
	if strings.Contains(lost, "W6ph5") || strings.Contains(lost, ":password") {
		t.Errorf("hashes in %s", lost)
	}
	if _, err := Htpasswd([]byte("a secret without a name"), nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err := authn.ParseHash(someHash); err != nil {
		t.Fatal(err)
	}
}

func TestHarborRobots(t *testing.T) {
	access := `[{"resource":"repository","action":"push"}]`
	text := `[{"name":"h-ci","level":"project","expires_at":-1,"permissions":[{"kind":"project","namespace":"team-a","access":` + access + `}]},
		{"name":"h-all","level":"system","expires_at":4102444800,"disable":true,"permissions":[{"kind":"project","namespace":"*","access":` + access + `},{"kind":"project","namespace":"Bad Name","access":` + access + `}]}]
		[{"name":"h-all","level":"system","permissions":[]},{"name":"h-lost","level":"project","permissions":[]}]`
	r, err := HarborRobots([]byte(text), "h-")
	if err != nil {
		t.Fatal(err)
	}
	// In a project who may push may pull; in the system not.
	if got := rightsOf(r, "team-a+ci"); got != "pull,push:team-a/**" {
		t.Error(got)
	}
	if got := rightsOf(r, "all"); got != "push:**" {
		t.Error(got)
	}
	if all := r.Document.Robots[1]; !all.Disabled || all.Expires == nil || all.Expires.Year() != 2100 {
		t.Errorf("%+v", all)
	}
	lost := strings.Join(r.Lost, "\n")
	for _, want := range []string{"robot all: it is there twice", `"Bad Name" is no name of a project`, "robot lost: it is a project's, but which one?", "secrets: "} {
		if !strings.Contains(lost, want) {
			t.Errorf("no %q in\n%s", want, lost)
		}
	}
	for _, bad := range []string{`{"errors":[]}`, "x", `[1]`} {
		if _, err := HarborRobots([]byte(bad), ""); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
