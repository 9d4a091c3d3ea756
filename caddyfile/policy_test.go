package caddyfile

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// readPolicy reads a policy as the realm's block does.
func readPolicy(input string) (authz.Config, error) {
	var cfg authz.Config
	d := caddyfile.NewTestDispenser(input)
	for d.Next() {
		if d.Val() == "project" {
			p, err := Project(d, testRobot)
			if err != nil {
				return cfg, err
			}
			cfg.Projects = append(cfg.Projects, p)
			continue
		}
		option := policyOptions(&cfg)[d.Val()]
		if option == nil {
			return cfg, d.Errf("unrecognized %s", d.Val())
		}
		if err := option(d); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

func testRobot(d *caddyfile.Dispenser) (string, []string, error) {
	if !d.NextArg() {
		return "", nil, d.ArgErr()
	}
	name, actions := d.Val(), d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "allow" {
			actions = append(actions, d.RemainingArgs()...)
		}
	}
	return "robot:" + name, actions, nil
}

func TestPolicy(t *testing.T) {
	cfg, err := readPolicy(`admin group:platform role:sr-admin {
	override immutable
	from 10.0.0.0/8 192.0.2.1
}
role release-manager pull push overwrite
anonymous_read public/** mirror/*
authenticated_read **
deny push delete group:interns {
	between 18:00-08:00 Mon-Fri Europe/Berlin
}
catalog filtered
read_only
project team-a/** team-a-{user} {
	name team-a
	maintainer group:leads
	developer group:team-a user:bob {
		when ` + "`claims.ref == \"refs/heads/main\"`" + `
		until 2027-01-01
		tags dev-* test-*
		shadow
	}
	release-manager robot:release
	allow pull push claim:a.b=c workload:github
	deny overwrite anyone {
		tags v*
	}
	robot ci pull {
		allow push
	}
	robot idle
	immutable v* release-*
	immutable prod
	read_only group:auditors
	read_only
}
project empty/**
`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(cfg, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
	"admins": [{"subjects": ["group:platform", "role:sr-admin"], "override": ["immutable"], "from": ["10.0.0.0/8", "192.0.2.1"], "source": "Testfile:1"}],
	"roles": [{"name": "release-manager", "actions": ["pull", "push", "overwrite"], "source": "Testfile:5"}],
	"projects": [
		{
			"name": "team-a", "patterns": ["team-a/**", "team-a-{user}"], "read_only": true, "source": "Testfile:13",
			"grants": [
				{"role": "maintainer", "subjects": ["group:leads"], "source": "Testfile:15"},
				{"role": "developer", "subjects": ["group:team-a", "user:bob"], "tags": ["dev-*", "test-*"],
					"when": "claims.ref == \"refs/heads/main\"", "until": "2027-01-01", "shadow": true, "source": "Testfile:16"},
				{"role": "release-manager", "subjects": ["robot:release"], "source": "Testfile:22"},
				{"actions": ["pull", "push"], "subjects": ["claim:a.b=c", "workload:github"], "source": "Testfile:23"},
				{"actions": ["pull", "push", "overwrite", "list"], "subjects": ["robot:ci"], "source": "Testfile:27"},
				{"role": "read_only", "subjects": ["group:auditors"], "source": "Testfile:33"}
			],
			"denies": [{"actions": ["overwrite"], "subjects": ["anyone"], "tags": ["v*"], "source": "Testfile:24"}],
			"immutable": [{"tags": ["v*", "release-*"], "source": "Testfile:31"}, {"tags": ["prod"], "source": "Testfile:32"}]
		},
		{"patterns": ["empty/**"], "source": "Testfile:36"}
	],
	"denies": [{"actions": ["push", "delete"], "subjects": ["group:interns"], "between": "18:00-08:00 Mon-Fri Europe/Berlin", "source": "Testfile:8"}],
	"anonymous_read": [{"patterns": ["public/**", "mirror/*"], "source": "Testfile:6"}],
	"authenticated_read": [{"patterns": ["**"], "source": "Testfile:7"}],
	"catalog": "filtered",
	"read_only": true
}`
	var expected authz.Config
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	normal, _ := json.MarshalIndent(expected, "", "\t")
	if string(got) != string(normal) {
		t.Errorf("got %s\nwant %s", got, normal)
	}
	if _, err := authz.Compile(cfg); err != nil {
		t.Errorf("does not compile: %v", err)
	}
}

func TestPolicyErrors(t *testing.T) {
	project := func(lines string) string { return "project a/** {\n\t" + lines + "\n}" }
	for input, want := range map[string]string{
		"admin": "wrong argument count",
		"admin group:x {\n\toveride immutable\n}": `unrecognized subdirective "overide" of admin: did you mean "override"?`,
		"admin group:x {\n\toverride\n}":          "wrong argument count",
		"role":                                    "wrong argument count",
		"role x":                                  "role x grants nothing",
		"role x pull {\n\ty\n}":                   "role takes no block",
		"anonymous_read":                          "wrong argument count",
		"anonymous_read a {\n\tb\n}":              "anonymous_read takes no block",
		"deny":                                    "deny: no action",
		"deny push":                               "deny: no subject",
		"deny group:x":                            "deny: no action",
		"deny psuh group:x":                       `deny: "psuh" is neither an action nor a subject: did you mean "push"?`,
		"deny push anyon":                         `did you mean "anyone"?`,
		"deny push zzzzzz":                        "is neither an action nor a subject such as group:dev",
		"deny push group:x push":                  `"push" is not a subject`,
		"catalog a b":                             "wrong argument count",
		"catalog filtered\ncatalog admin":         "catalog already specified",
		"read_only\nread_only":                    "read_only already specified",
		"read_only x":                             "wrong argument count",
		"project":                                 "wrong argument count",
		project("immutabel v*"):                   `unrecognized subdirective "immutabel" of project: did you mean "immutable"?`,
		project("developr"):                       `did you mean "developer"?`,
		project("guest dev"):                      "guest: no subject",
		project("immutable"):                      "wrong argument count",
		project("name a\n\tname b"):               "name already specified",
		project("read_only\n\tread_only"):         "read_only already specified",
		project("robot"):                          "wrong argument count",
		project("allow pull"):                     "allow: no subject",
		project("guest anyone {\n\tuntill 1\n}"):  `did you mean "until"?`,
		project("guest anyone {\n\tuntil 1\n\tuntil 2\n}"):         "until already specified",
		project("guest anyone {\n\twhen a b\n}"):                   "wrong argument count",
		project("guest anyone {\n\tbetween\n}"):                    "wrong argument count",
		project("guest anyone {\n\tbetween 1-2\n\tbetween 1-2\n}"): "between already specified",
		project("guest anyone {\n\tshadow yes\n}"):                 "wrong argument count",
		project("guest anyone {\n\ttags\n}"):                       "wrong argument count",
		project("guest anyone {\n\tfrom\n}"):                       "wrong argument count",
	} {
		_, err := readPolicy(input)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Testfile:") {
			t.Errorf("%q: want %q with its place, got: %v", input, want, err)
		}
	}
	d := caddyfile.NewTestDispenser("project a {\n\trobot ci\n}")
	d.Next()
	if _, err := Project(d, nil); err == nil || !strings.Contains(err.Error(), "Testfile:2") {
		t.Errorf("robot without robots: %v", err)
	}
}
