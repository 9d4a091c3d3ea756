package authz

import (
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// checkTags refuses patterns that no tag can match: a tag is made of
// letters, digits and . _ - (distribution-spec 1.1), a pattern has stars in
// addition.
func checkTags(patterns []string) error {
	for _, p := range patterns {
		if p == "" {
			return fmt.Errorf("tag pattern %q: empty; * is every tag", p)
		}
		for _, c := range p {
			if c != '*' && !strings.ContainsRune("._-", c) &&
				(c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return fmt.Errorf("tag pattern %q: %q can be part of no tag", p, c)
			}
		}
	}
	return nil
}

// matchTags reports whether one of the patterns matches a tag.
func matchTags(patterns []string, tag string) bool {
	for _, p := range patterns {
		if matchGlob(p, tag) {
			return true
		}
	}
	return false
}

// tagged are the actions that change what a tag points at.
const tagged = Push | Overwrite | Delete

// Immutable returns the rule that protects a tag of a repository from being
// moved or deleted, if there is one.
func (p *Policy) Immutable(repository, tag string) (*Rule, bool) {
	if !validRepository(repository) {
		return nil, false
	}
	var buf [8]*place
	r := immutable(p.index.match(repository, nil, buf[:0]), tag)
	return r, r != nil
}

func immutable(places []*place, tag string) *Rule {
	for _, place := range places {
		for _, r := range place.immutable {
			if matchTags(r.Tags, tag) {
				return r
			}
		}
	}
	return nil
}

// anyImmutable returns a rule that protects some tag of the places.
func anyImmutable(places []*place) *Rule {
	for _, place := range places {
		if len(place.immutable) > 0 {
			return place.immutable[0]
		}
	}
	return nil
}

// Protects returns the rule that makes a tag immutable in a repository, nil if
// none does, so that what the tag needs can be protected with it. Who asks
// does not matter; placeholders in patterns are those of the principal.
func (p *Policy) Protects(principal *authn.Principal, repository, tag string) *Rule {
	var buf [16]*place
	return immutable(p.places(principal, &Query{Repository: repository}, buf[:0]), tag)
}
