package stage

import (
	"context"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// SecretText is in the layer of team/secret and nowhere else.
const SecretText = "TOP SECRET"

// seeds are the repositories and tags that are there from the start.
var seeds = []struct {
	repository string
	tags       []string
	content    string
}{
	{"team/app", []string{"x", "A_b.C-1"}, "the application"},
	{"team/secret", []string{"x", "secret-tag-x"}, SecretText},
	{"team/base", []string{"x"}, "a base image"},
	{"team/a/b/c/d", []string{"x"}, "a deep name"},
	{"team/a.b__c-d--e", []string{"x"}, "a name with every separator"},
	{"other/app", []string{"x"}, "somebody else's application"},
	{"pub/app", []string{"x"}, "a public application"},
	{"pub/other", []string{"x"}, "another public application"},
}

// Seed pushes the images that are there from the start, also to repair what
// was deleted or overwritten since.
func (s *Stage) Seed(ctx context.Context) error {
	s.Images = map[string]*upstream.Image{}
	for _, seed := range seeds {
		image, err := upstream.NewImage("content.txt", []byte(seed.content))
		if err != nil {
			return fmt.Errorf("seed %s: %w", seed.repository, err)
		}
		for _, tag := range seed.tags {
			if err := s.Direct.Push(ctx, seed.repository, tag, image); err != nil {
				return fmt.Errorf("seed %s: %w", seed.repository, err)
			}
			s.Images[seed.repository+":"+tag] = image
		}
	}
	return nil
}
