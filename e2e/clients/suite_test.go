package clients

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// The tags that images get: helm wants versions.
const (
	firstTag  = "1.0.0"
	secondTag = "2.0.0"
)

// tool is what every client can do.
type tool interface {
	// Login signs in. Tools without a sign-in that checks anything read from
	// the repository home with the credentials.
	Login(user, password, home string) error
	Logout() error
	// Make makes an image locally, with content in it.
	Make(repository, tag string, content []byte) error
	Push(repository, tag string) error
	// Pull fetches the image even if it is there, and returns its digest.
	Pull(repository, tag string) (string, error)
	// File is how the content is called within the image of a repository.
	File(repository string) string
}

// tagger can give an image that it has pulled another repository, so that
// pushing it tries to mount the layers from where they came from.
type tagger interface {
	Retag(from, to, tag string) error
}

// lister can list tags, deleter delete an image at the registry.
type (
	lister interface {
		Tags(repository string) ([]string, error)
	}
	deleter interface {
		Delete(repository, tag string) error
	}
)

// play drives a client through everything a user meets.
func play(t *testing.T, s *stage.Stage, name string, client tool) {
	p := &player{T: t, stage: s, client: client, name: name}
	team, public := "team/"+name+"/app", "pub/"+name+"/app"

	p.Run("wrong password", func(*testing.T) {
		p.refused("login with a wrong password", client.Login("robot-ci", "not-the-secret", team))
	})
	p.login("robot-dev", public)
	content := p.makeAndPush(public)
	p.sameUpstream(public, content)

	p.login("robot-ci", "team/app")
	content = p.makeAndPush(team)
	p.sameUpstream(team, content)
	p.pull(team)
	p.Run("mixed private and public", func(*testing.T) { p.pull(public) })
	p.Run("list", func(t *testing.T) { p.list(t, team) })
	p.Run("mount", func(t *testing.T) { p.mountAllowed(t, team) })
	p.Run("mount from a forbidden repository", func(t *testing.T) { p.mountForbidden(t) })
	p.Run("refused push and pull", func(*testing.T) { p.refusedRepository() })
	p.Run("delete", func(t *testing.T) { p.delete(t, team) })
	p.Run("anonymous", func(*testing.T) { p.anonymous(team, public) })
}

// player plays one client; its methods fail the test on what must not be.
type player struct {
	*testing.T

	stage  *stage.Stage
	client tool
	name   string
}

func (p *player) must(what string, err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

func (p *player) refused(what string, err error) {
	p.Helper()
	if err == nil {
		p.Errorf("%s succeeded", what)
	} else {
		p.Logf("%s: %v", what, err)
	}
}

func (p *player) login(user, home string) {
	p.Helper()
	password, err := p.stage.Password(user)
	p.must("password of "+user, err)
	p.must("login as "+user, p.client.Login(user, password, home))
}

// makeAndPush pushes an image with content that has never been there before.
func (p *player) makeAndPush(repository string) []byte {
	p.Helper()
	content := []byte(strings.Repeat(rand.Text()+"\n", 2000))
	p.must("make an image", p.client.Make(repository, firstTag, content))
	p.must("push to "+repository, p.client.Push(repository, firstTag))
	return content
}

// sameUpstream reads the image back from the registry itself.
func (p *player) sameUpstream(repository string, content []byte) {
	p.Helper()
	image, err := p.stage.Direct.Pull(p.Context(), repository, firstTag)
	p.must("read back from the registry", err)
	name := p.client.File(repository)
	if name == "" {
		if !slices.ContainsFunc(image.Layers, func(l []byte) bool { return bytes.Equal(l, content) }) {
			p.Errorf("no layer of %s is what was pushed", repository)
		}
		return
	}
	got, err := image.File(name)
	p.must("read back from the registry", err)
	if !bytes.Equal(got, content) {
		p.Errorf("%s in %s differs from what was pushed", name, repository)
	}
}

// pull fetches an image and compares what arrived with what is stored.
func (p *player) pull(repository string) {
	p.Helper()
	digest, err := p.client.Pull(repository, firstTag)
	p.must("pull from "+repository, err)
	image, err := p.stage.Direct.Pull(p.Context(), repository, firstTag)
	p.must("read from the registry", err)
	if digest != image.Digest() {
		p.Errorf("pulled %s of %s, the registry has %s", digest, repository, image.Digest())
	}
}

func (p *player) list(t *testing.T, repository string) {
	client, ok := p.client.(lister)
	if !ok {
		t.Logf("%s cannot list tags", p.name)
		return
	}
	tags, err := client.Tags(repository)
	p.must("list tags", err)
	if !slices.Contains(tags, firstTag) {
		p.Errorf("tags of %s are %q", repository, tags)
	}
	_, err = client.Tags("other/app")
	p.refused("listing the tags of a foreign repository", err)
}

// refusedRepository tries what the robot ci may not do.
func (p *player) refusedRepository() {
	mine, foreign := "team/"+p.name+"/app", "other/"+p.name+"/app"
	p.must("make an image", p.client.Make(foreign, firstTag, []byte(rand.Text())))
	p.refused("push to a foreign repository", p.client.Push(foreign, firstTag))
	if tags, err := p.stage.Direct.Tags(p.Context(), foreign); err != nil || len(tags) > 0 {
		p.Errorf("%s has tags %q, %v after the refusal", foreign, tags, err)
	}
	_, err := p.client.Pull("other/app", "x")
	p.refused("pull from a foreign repository", err)
	p.pull(mine) // and goes on with its own
}

func (p *player) delete(t *testing.T, repository string) {
	client, ok := p.client.(deleter)
	if !ok {
		t.Logf("%s cannot delete", p.name)
		return
	}
	p.refused("delete without the right to", client.Delete(repository, firstTag))
	if _, err := p.stage.Direct.Manifest(p.Context(), repository, firstTag); err != nil {
		p.Errorf("after the refusal: %v", err)
	}
	spare := repository + "-spare"
	p.makeAndPush(spare)
	p.login("robot-janitor", "team/app")
	p.must("delete", client.Delete(spare, firstTag))
	if _, err := p.stage.Direct.Manifest(p.Context(), spare, firstTag); err == nil {
		p.Error("it is still there after the deletion")
	}
}

func (p *player) anonymous(private, public string) {
	p.must("logout", p.client.Logout())
	p.pull(public)
	_, err := p.client.Pull(private, firstTag)
	p.refused("anonymous pull of a private repository", err)
	p.must("make an image", p.client.Make(public, secondTag, []byte(rand.Text())))
	p.refused("anonymous push to a public repository", p.client.Push(public, secondTag))
	if tags, err := p.stage.Direct.Tags(p.Context(), public); err != nil || slices.Contains(tags, secondTag) {
		p.Errorf("%s has tags %q, %v after the refusal", public, tags, err)
	}
}
