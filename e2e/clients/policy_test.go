package clients

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// policyLines are the projects that the tests of the policy play in: bob is a
// developer, mallory a guest, alice a maintainer of team-a, carol has team-b.
const policyLines = `
		catalog filtered
		owner_only repository mine/**
		project team-a/** {
			maintainer user:alice
			developer user:bob
			guest user:mallory
			immutable v*
		}
		project team-b/** {
			maintainer user:carol
		}
		project mine/** {
			maintainer user:bob user:carol
		}
`

var policyStageOnce = sync.OnceValues(func() (*stage.Stage, error) {
	// The registry gives its catalog in pages of a hundred at most.
	return stage.Start(context.Background(), stage.Options{
		Kind: upstream.Distribution3, Record: true, Realm: policyLines,
		Registry: upstream.Options{Config: "catalog: {maxentries: 100}\n"},
	})
})

// policyStage is a stage with these projects in front of a Distribution 3.
func policyStage(t *testing.T) *stage.Stage {
	t.Helper()
	process.Need(t, upstream.Distribution3.Program)
	s, err := policyStageOnce()
	if err != nil {
		t.Fatal(err)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.stages == nil {
		shared.stages = map[string]*stage.Stage{}
	}
	shared.stages["policy"] = s
	return s
}

// TestPolicy plays the projects with the clients that people have.
func TestPolicy(t *testing.T) {
	for name, client := range map[string]func(*testing.T, *stage.Stage) tool{
		"docker": func(t *testing.T, s *stage.Stage) tool {
			return &docker{newShell(t, s, "DOCKER_HOST="+needEngines(t).DockerHost())}
		},
		"skopeo": func(t *testing.T, s *stage.Stage) tool {
			process.Need(t, "skopeo")
			return &skopeo{newShell(t, s)}
		},
		"crane": func(t *testing.T, s *stage.Stage) tool {
			process.Need(t, "crane")
			return &crane{shell: newShell(t, s), direct: strings.TrimPrefix(s.Direct.URL, "http://"), origin: map[string]string{}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := policyStage(t)
			playPolicy(t, s, name, client(t, s))
		})
	}
}

func playPolicy(t *testing.T, s *stage.Stage, name string, client tool) {
	p := &player{T: t, stage: s, client: client, name: name}
	app, foreign, mine := "team-a/"+name, "team-b/"+name, "mine/"+name

	p.login("bob", "team/app")
	p.must("make an image", client.Make(app, "v1", []byte(rand.Text())))
	p.must("push a version", client.Push(app, "v1"))
	first := p.digest(app, "v1")
	content := p.makeAndPush(app)
	p.sameUpstream(app, content)
	p.must("make an image", client.Make(foreign, firstTag, []byte(rand.Text())))
	p.refused("push to somebody else's project", client.Push(foreign, firstTag))
	if tags, err := s.Direct.Tags(t.Context(), foreign); err != nil || len(tags) > 0 {
		t.Errorf("%s has tags %q, %v after the refusal", foreign, tags, err)
	}

	p.must("make another image", client.Make(app, "v1", []byte(rand.Text())))
	p.denied("push over an immutable tag", client.Push(app, "v1"), "refused by project team-a/** immutable v* (Caddyfile:")
	if now := p.digest(app, "v1"); now != first {
		t.Errorf("v1 has moved to %s", now)
	}
	p.must("make another image", client.Make(app, "v2", []byte(rand.Text())))
	p.must("push the next version", client.Push(app, "v2"))

	p.makeAndPush(mine) // bob owns it now
	p.login("carol", "other/app")
	p.must("make an image", client.Make(mine, secondTag, []byte(rand.Text())))
	p.refused("push to what somebody else owns", client.Push(mine, secondTag))
	p.pull(mine)

	p.login("mallory", "pub/app")
	p.pull(app)
	p.must("make an image", client.Make(app, secondTag, []byte(rand.Text())))
	p.refused("push as a guest", client.Push(app, secondTag))
	_, err := client.Pull("team/app", "x")
	p.refused("pull from somebody else's project", err)

	if d, ok := client.(deleter); ok {
		p.login("alice", "team/app")
		p.denied("delete an image with a protected tag", d.Delete(app, "v1"), "immutable v*")
		p.must("delete an image without one", d.Delete(app, firstTag))
		if now := p.digest(app, "v1"); now != first {
			t.Errorf("v1 is %s after the refusal", now)
		}
	}
}

// digest asks the registry itself what a tag points at.
func (p *player) digest(repository, tag string) string {
	p.Helper()
	manifest, err := p.stage.Direct.Manifest(p.Context(), repository, tag)
	p.must("read back from the registry", err)
	return upstream.Digest(manifest)
}

// denied wants a refusal that tells the client's user why.
func (p *player) denied(what string, err error, why string) {
	p.Helper()
	switch {
	case err == nil:
		p.Errorf("%s succeeded", what)
	case !strings.Contains(err.Error(), why):
		p.Errorf("%s: the client does not say %q: %v", what, why, err)
	default:
		p.Logf("%s: %v", what, err)
	}
}

// TestDeleteByDigest deletes with regctl, by digest, what a protected tag
// points at.
func TestDeleteByDigest(t *testing.T) {
	process.Need(t, "regctl")
	s := policyStage(t)
	client := &regctl{newShell(t, s)}
	if _, err := client.run("regctl", "registry", "set", client.addr, "--tls", "disabled", "--skip-check"); err != nil {
		t.Fatal(err)
	}
	p := &player{T: t, stage: s, client: client, name: "regctl"}
	p.login("alice", "")
	const app = "team-a/regctl"
	p.must("make an artifact", client.Make(app, "v1", []byte("protected")))
	p.must("push it", client.Push(app, "v1"))
	p.must("make an artifact", client.Make(app, "dev", []byte("not protected")))
	p.must("push it", client.Push(app, "dev"))
	byDigest := func(tag string) error {
		_, err := client.run("regctl", "manifest", "delete", fmt.Sprintf("%s/%s@%s", client.addr, app, p.digest(app, tag)))
		return err
	}
	p.refused("delete what v1 points at", byDigest("v1"))
	p.digest(app, "v1")
	p.must("delete what dev points at", byDigest("dev"))
	if _, err := s.Direct.Manifest(t.Context(), app, "dev"); err == nil {
		t.Error("dev is still there")
	}
}
