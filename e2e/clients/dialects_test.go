package clients

import (
	"crypto/rand"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// credentialOf is what upstream_auth says for a dialect.
func credentialOf(d upstream.Dialect) string {
	account := " " + upstream.GuardUser + " " + upstream.GuardPassword
	switch {
	case d.Basic:
		return "basic" + account
	case d.Anonymous:
		return "token GUARD"
	case d.Identity:
		return "token GUARD <token> " + upstream.GuardPassword
	}
	return "token GUARD" + account
}

// TestRegistriesThatAskForALogin plays everything that a user meets in front of
// registries that ask the gateway for a login in the ways of the world, with
// tokens that live for seconds.
func TestRegistriesThatAskForALogin(t *testing.T) {
	process.Need(t, "crane", "registry")
	for _, d := range upstream.Dialects {
		t.Run(d.Name, func(t *testing.T) {
			s, err := stage.Start(t.Context(), stage.Options{Kind: upstream.Distribution3, Dialect: &d, Record: true, UpstreamAuth: credentialOf(d)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Stop() })
			play(t, s, "crane", &crane{shell: newShell(t, s), direct: s.Direct.URL[len("http://"):], origin: map[string]string{}})
			if !d.Basic && s.Guard.Made() == 0 {
				t.Error("the registry gave no token")
			}
		})
	}
}

// TestLargePushesWithShortTokens: what takes longer than a token lives goes
// through, with clients of several kinds.
func TestLargePushesWithShortTokens(t *testing.T) {
	process.Need(t, "crane", "skopeo", "registry")
	d := upstream.Dialects[0]
	s, err := stage.Start(t.Context(), stage.Options{Kind: upstream.Distribution3, Dialect: &d, UpstreamAuth: credentialOf(d)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	content := make([]byte, 200<<20)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	c := &crane{shell: newShell(t, s), direct: s.Direct.URL[len("http://"):], origin: map[string]string{}}
	p := &player{T: t, stage: s, client: c, name: "large"}
	p.login("robot-ci", "team/app")
	p.must("make", c.Make("team/large", firstTag, content))
	p.must("push", c.Push("team/large", firstTag))
	digest, err := c.Pull("team/large", firstTag)
	p.must("pull", err)
	for _, command := range [][]string{
		{"skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds", "CREDENTIALS", "--dest-creds", "CREDENTIALS", "docker://" + c.ref("team/large", firstTag), "docker://" + c.ref("team/skopeo", firstTag)},
	} {
		robot := s.Robots["ci"]
		for i, word := range command {
			if word == "CREDENTIALS" {
				command[i] = "robot-ci:" + robot.Secret
			}
		}
		_, err := c.run(command[0], command[1:]...)
		p.must(command[0], err)
	}
	image, err := s.Direct.Pull(t.Context(), "team/skopeo", firstTag)
	p.must("read back", err)
	if image.Digest() != digest {
		t.Errorf("skopeo copied %s, crane pushed %s", image.Digest(), digest)
	}
}
