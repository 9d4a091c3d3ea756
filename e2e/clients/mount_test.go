package clients

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// mountAllowed pushes an image to a second repository of the same project:
// clients then ask to mount its layers from the first.
func (p *player) mountAllowed(t *testing.T, from string) {
	client, ok := p.client.(tagger)
	if !ok {
		t.Logf("%s does not mount", p.name)
		return
	}
	to := from + "-copy"
	p.must("retag", client.Retag(from, to, firstTag))
	mark := p.stage.Recorder.Mark()
	p.must("push to a second repository", p.client.Push(to, firstTag))
	t.Logf("%d mounts reached the registry", len(mounts(p.stage.Recorder.Since(mark), from)))
	p.pull(to)
}

// mountForbidden pushes an image whose layers the client has seen in a
// repository that it may not pull from any more. The push must succeed, with
// the layers uploaded, and the registry must not be asked to mount.
func (p *player) mountForbidden(t *testing.T) {
	client, ok := p.client.(tagger)
	if !ok {
		t.Logf("%s does not mount", p.name)
		return
	}
	from, to := "other/"+p.name+"/origin", "team/"+p.name+"/derived"
	p.login("carol", "other/app")
	content := p.makeAndPush(from)
	p.pull(from)
	p.login("robot-ci", "team/app")
	p.must("retag", client.Retag(from, to, firstTag))
	mark, logged := p.stage.Recorder.Mark(), p.stage.Gateway.Log.Mark()
	p.must("push what came from a foreign repository", p.client.Push(to, firstTag))
	if found := mounts(p.stage.Recorder.Since(mark), from); len(found) > 0 {
		p.Errorf("the registry was asked to mount from %s: %+v", from, found)
	}
	asked := slices.ContainsFunc(p.stage.Gateway.Log.Since(logged), func(line string) bool {
		return strings.Contains(line, "from="+from) || strings.Contains(line, "from="+strings.ReplaceAll(from, "/", "%2F"))
	})
	t.Logf("the client asked for a mount: %t", asked)
	p.sameUpstream(to, content)
}

// mounts returns the requests that ask to mount from a repository.
func mounts(requests []upstream.Request, from string) []upstream.Request {
	return slices.DeleteFunc(requests, func(q upstream.Request) bool {
		return !strings.Contains(q.Query, "mount=") ||
			!strings.Contains(strings.ReplaceAll(q.Query, "%2F", "/"), "from="+from)
	})
}
