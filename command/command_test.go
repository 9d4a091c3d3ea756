package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestNewSecretCommand(t *testing.T) {
	var out bytes.Buffer
	cmd := newSecretCommand()
	cmd.SetOut(&out)
	cmd.SetArgs(nil)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	hash, err := authn.ParseHash(lines[1])
	if err != nil || !hash.Matches(lines[0]) {
		t.Errorf("the hash is not the secret's: %v", err)
	}
}

func TestHashPasswordCommand(t *testing.T) {
	secret, _ := authn.NewSecret(authn.SecretRobot)
	for input, good := range map[string]bool{"a password\n": true, "a password": true, "": false, "\n": false, secret: false, "eyJhbGciOiJFUzI1NiJ9.e30.c2ln": false} {
		var out bytes.Buffer
		cmd := hashPasswordCommand()
		cmd.SetIn(strings.NewReader(input))
		cmd.SetOut(&out)
		cmd.SetErr(&bytes.Buffer{})
		cmd.SetArgs(nil)
		if err := cmd.Execute(); (err == nil) != good {
			t.Errorf("%q: %v", input, err)
			continue
		}
		if !good {
			continue
		}
		if h, err := authn.ParsePasswordHash(out.String()); err != nil || !h.Matches("a password") || h.Matches("another") {
			t.Errorf("%q printed %q: %v", input, out.String(), err)
		}
	}
}

func TestHashSecretCommand(t *testing.T) {
	own, stored := authn.NewSecret(authn.SecretRobot)
	for input, want := range map[string]string{own + "\n": stored, "a password": "$argon2id$", "": "error", "\n": "error", own[:len(own)-1]: "error"} {
		var out bytes.Buffer
		cmd := hashSecretCommand()
		cmd.SetIn(strings.NewReader(input))
		cmd.SetOut(&out)
		cmd.SetErr(&bytes.Buffer{})
		cmd.SetArgs(nil)
		err := cmd.Execute()
		switch {
		case want == "error":
			if err == nil {
				t.Errorf("%q was hashed", input)
			}
		case err != nil || !strings.HasPrefix(out.String(), want):
			t.Errorf("%q: %v, want %s", out.String(), err, want)
		}
	}
}
