package caddyfile

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

const robotHash = "sha256:abcdefghijkl:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

func TestRobot(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       authn.RobotConfig
		actions    []string
	}{
		{
			"shortest", "robot ci {\nsecret_hash " + robotHash + "\n}",
			authn.RobotConfig{Name: "ci", SecretHashes: []string{robotHash}},
			[]string{"pull"},
		},
		{
			"placeholder", "robot ci pull push {\nsecret_hash {env.CI_ROBOT_HASH}\n}",
			authn.RobotConfig{Name: "ci", SecretHashes: []string{"{env.CI_ROBOT_HASH}"}},
			[]string{"pull", "push"},
		},
		{
			"all", `robot ci.build-1 {
				secret_hash {file./run/secrets/ci} ` + robotHash + `
				secret_hash $2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy
				allow pull push
				allow delete
				expires 2027-01-31
				from 10.0.0.0/8 192.0.2.1
				from 2001:db8::/32
				disabled
			}`,
			authn.RobotConfig{
				Name: "ci.build-1", SecretHashes: []string{"{file./run/secrets/ci}", robotHash, "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"},
				Expires: "2027-01-31", From: []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}, Disabled: true,
			},
			[]string{"pull", "push", "delete"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Robot(on(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(r.RobotConfig, test.want) || !reflect.DeepEqual(r.Actions, test.actions) {
				t.Errorf("got  %+v %v\nwant %+v %v", r.RobotConfig, r.Actions, test.want, test.actions)
			}
		})
	}
}

func TestRobotErrors(t *testing.T) {
	const head = "robot ci {\nsecret_hash " + robotHash + "\n"
	secret, _ := authn.NewSecret(authn.SecretRobot)
	for _, test := range []struct{ name, text, want string }{
		{"no name", "robot", ":1"},
		{"no secret", "robot ci {\nallow pull\n}", "secret_hash is missing"},
		{"no block", "robot ci pull", "secret_hash is missing"},
		{"bad name", "robot robot$ci {\nsecret_hash " + robotHash + "\n}", "robot name"},
		{"unknown action", "robot ci pul {\nsecret_hash " + robotHash + "\n}", "unknown action"},
		{"unknown action in allow", head + "allow write\n}", ":3"},
		{"allow nothing", head + "allow\n}", ":3"},
		{"hash empty", "robot ci {\nsecret_hash\n}", ":2"},
		{"secret and no hash", "robot ci {\nsecret_hash " + secret + "\n}", "this is a secret"},
		{"password and no hash", "robot ci {\nsecret_hash hunter2\n}", ":2"},
		{"rewritten placeholder", "robot ci {\nsecret_hash {http.request.uri.path.file.ci}\n}", "absolute path"},
		{"expires", head + "expires soon\n}", ":3"},
		{"expires twice", head + "expires 2027-01-31\nexpires 2027-01-31\n}", ":4"},
		{"from", head + "from somewhere\n}", ":3"},
		{"from nothing", head + "from\n}", ":3"},
		{"from with host bits", head + "from 10.1.2.3/8\n}", "10.0.0.0/8"},
		{"disabled with argument", head + "disabled yes\n}", ":3"},
		{"misspelt", head + "expire 2027-01-31\n}", "did you mean \"expires\""},
		{"unknown", head + "colour blue\n}", "unrecognized subdirective"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Robot(on(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hunter2") {
				t.Error("error shows the secret")
			}
		})
	}
}
