package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// RuleKind says what sort of rule made a decision.
type RuleKind string

// The kinds of rules.
const (
	RuleGrant             RuleKind = "grant"
	RuleDeny              RuleKind = "deny"
	RuleAdmin             RuleKind = "admin"
	RuleAnonymousRead     RuleKind = "anonymous_read"
	RuleAuthenticatedRead RuleKind = "authenticated_read"
	RuleImmutable         RuleKind = "immutable"
	RuleReadOnly          RuleKind = "read_only"
	RuleCatalog           RuleKind = "catalog"
	RuleLimit             RuleKind = "limit" // of the credential
	RuleOwner             RuleKind = "owner_only"
	RuleCreator           RuleKind = "creator_role"
	RulePermission        RuleKind = "permission" // of the principal itself
)

// Rule is a rule of the configuration as a decision refers to it. It is
// shared and read-only.
type Rule struct {
	Kind     RuleKind `json:"kind"`
	Project  string   `json:"project,omitempty"`
	Patterns []string `json:"patterns,omitempty"`
	Role     string   `json:"role,omitempty"`
	Actions  Action   `json:"-"`
	Subjects []string `json:"subjects,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Shadow   bool     `json:"shadow,omitempty"`
	Source   string   `json:"source,omitempty"`

	conditions *conditions
	override   override
	mapped     bool // see Grant.Mapped

	// ids are what the subjects are entered as, in their order. A subject of a
	// stored role mapping has another id than the same subject elsewhere, so
	// that whom a rule is about is asked by id and never by text.
	ids []subjectID

	text atomic.Pointer[string] // see where
}

// about returns the first of the rule's subjects that somebody is, by its
// place in Subjects; -1 if the rule is about none of them.
func (r *Rule) about(ids []subjectID) int {
	return slices.IndexFunc(r.ids, func(id subjectID) bool { return is(ids, id) })
}

// impersonal reports whether the rule holds in the same circumstances for
// everybody whom it is about.
func (r *Rule) impersonal() bool {
	return r.conditions == nil || r.conditions.when == nil || !r.conditions.when.perPrincipal
}

// override is what an administrator stands above, beyond grants and denies.
type override uint8

const (
	aboveImmutable override = 1 << iota
	aboveReadOnly
)

// String returns the rule in one line, close to how it was written:
// "project team-a/** developer group:team-a".
func (r *Rule) String() string {
	var words []string
	if r.Project != "" {
		words = append(words, "project "+r.Project)
	}
	switch {
	case r.Kind == RuleGrant && r.Role != "":
		words = append(words, r.Role)
	case r.Kind == RuleGrant:
		words = append(words, "allow", strings.Join(r.Actions.Names(), " "))
	case r.Kind == RuleDeny && r.Role != "":
		words = append(words, "deny", r.Role)
	case r.Kind == RuleDeny:
		words = append(words, "deny", strings.Join(r.Actions.Names(), " "))
	case r.Kind == RuleOwner || r.Kind == RuleCreator:
		words = append(words, string(r.Kind), r.Role)
	case r.Kind == RuleLimit:
		words = append(words, "limit of the credential")
	case r.Kind == RuleImmutable:
		words = append(words, string(r.Kind), strings.Join(r.Tags, " "))
	default:
		words = append(words, string(r.Kind))
	}
	switch r.Kind {
	case RuleAnonymousRead, RuleAuthenticatedRead, RuleOwner, RuleCreator:
		words = append(words, few(r.Patterns))
	default:
		if len(r.Subjects) > 0 {
			words = append(words, few(r.Subjects))
		}
	}
	return strings.Join(words, " ")
}

// few joins a list, or its beginning where it is long.
func few(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], " "), len(list)-most)
}

// where returns the rule with its source, for messages. It is put together
// once: the audit log has it for every decision.
func (r *Rule) where() string {
	if text := r.text.Load(); text != nil {
		return *text
	}
	text := r.String()
	if r.Source != "" {
		text += " (" + r.Source + ")"
	}
	r.text.Store(&text)
	return text
}

// compileGrant checks a grant or deny rule.
func (c *compiler) compileGrant(kind RuleKind, project string, patterns []string, g Grant) (*Rule, error) {
	r := &Rule{
		Kind: kind, Project: project, Patterns: patterns, Role: g.Role, Subjects: g.Subjects,
		Tags: g.Tags, Shadow: g.Shadow, Source: g.Source, mapped: g.Mapped,
	}
	var errs []error
	switch {
	case g.Role != "" && len(g.Actions) > 0:
		errs = append(errs, fmt.Errorf("role %q and actions in one rule: want one of the two", g.Role))
	case g.Role != "":
		actions, err := c.roles.find(g.Role)
		r.Actions, errs = actions, append(errs, err)
	default:
		actions, err := parseActions(g.Actions)
		r.Actions, errs = actions, append(errs, err)
		if len(g.Actions) == 0 {
			errs = append(errs, errors.New("neither role nor actions"))
		}
	}
	if len(g.Subjects) == 0 {
		errs = append(errs, errors.New("no subject: want for example group:dev, authenticated or anyone"))
	}
	errs = append(errs, checkTags(g.Tags), tagsMeanSomething(r))
	conditions, err := c.conditions(g.Conditions)
	r.conditions = conditions
	return r, errors.Join(append(errs, err)...)
}

// tagsMeanSomething refuses tags where they would restrict nothing: an image
// that is hidden by tag is still there by digest.
func tagsMeanSomething(r *Rule) error {
	switch {
	case len(r.Tags) == 0 || r.Actions == 0:
		return nil
	case r.Actions&tagged == 0:
		return fmt.Errorf("tags restrict push, overwrite and delete only, the rule is about %s", r.Actions)
	case r.Kind == RuleDeny && r.Actions&^tagged != 0:
		return fmt.Errorf("a deny rule with tags can take push, overwrite and delete only, not %s", r.Actions&^tagged)
	}
	return nil
}

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
