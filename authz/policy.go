// Package authz answers "may they?": it reads requests to the registry API and
// scopes into accesses, and decides about them with a [Policy]. It knows
// principals, but nothing of credentials, tokens or Caddy.
//
// A [Config] is compiled into an immutable policy once; decisions then cost the
// same with ten rules and with a hundred thousand, and each can say why it is
// as it is: [Decision.Reason], [Policy.Explain], [Policy.WhoCan].
package authz

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy is a compiled [Config]: an immutable snapshot that many requests
// use at once. The time of a decision depends on the depth of the
// repository's name and on the rules that concern it, not on how many rules
// there are.
type Policy struct {
	index    index
	subjects *subjects
	admins   bucket
	readOnly *Rule
	facts    Facts

	// listers are those who may list something, by subject, if the catalog
	// is filtered.
	listers []bool

	// mappings are stored role mappings of the whole registry, by subject.
	mappings map[subjectID][]*Rule

	// kept tells the groups and roles that tokens have to carry for the sake of
	// deny rules from those of another policy.
	kept string

	rules    []*Rule // in the order of the configuration
	mentions mentions
	shadows  bool
	signed   bool // there are signature rules
	newTags  bool // see [Policy.Contested], for all repositories
}

// Compile checks a configuration and makes a policy of it. The error joins
// everything that is wrong, each with where it was written.
func Compile(cfg Config) (*Policy, error) {
	c := &compiler{
		policy:      &Policy{subjects: newSubjects()},
		expressions: map[string]*expression{},
		patterns:    map[string]pattern{},
	}
	var err error
	c.roles, err = compileRoles(cfg.Roles)
	c.fail("", err)
	c.policy.subjects.sources, err = compileRoleSources(cfg.RoleSources)
	c.policy.subjects.firstSource = cfg.FirstRoleSource
	c.fail("", err)
	for _, a := range cfg.Admins {
		c.admin(a)
	}
	c.projects(cfg.Projects)
	for _, g := range cfg.Denies {
		c.grant(RuleDeny, "", []string{"**"}, g)
	}
	for _, r := range cfg.AnonymousRead {
		c.read(RuleAnonymousRead, "anyone", r)
	}
	for _, r := range cfg.AuthenticatedRead {
		c.read(RuleAuthenticatedRead, "authenticated", r)
	}
	for _, o := range cfg.OwnerOnly {
		c.owner(o)
	}
	for _, o := range cfg.CreatorRoles {
		c.creator(o)
	}
	if cfg.ReadOnly {
		c.policy.readOnly = c.note(&Rule{Kind: RuleReadOnly})
	}
	c.catalog(cfg.Catalog)
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	c.finish()
	return c.policy, nil
}

// Rules returns all rules in the order of the configuration. Read-only.
func (p *Policy) Rules() []*Rule { return p.rules }

// GrantsAnything reports whether there is a rule that allows somebody
// something.
func (p *Policy) GrantsAnything() bool {
	for _, r := range p.rules {
		if r.Shadow {
			continue
		}
		switch r.Kind {
		case RuleAdmin, RuleGrant, RuleAnonymousRead, RuleAuthenticatedRead:
			return true
		}
	}
	return false
}

// signature enters what a project wants signed. The keys are read by whoever
// verifies with them.
func (c *compiler) signature(p Project) {
	rule := p.RequireSignature
	if rule == nil {
		return
	}
	if len(rule.Keys) == 0 {
		c.fail(rule.Source, errors.New("require signature: no key"))
	}
	c.policy.signed = true
	for _, text := range p.Patterns {
		if parsed, err := c.pattern(text); err == nil {
			at := c.place(parsed.wildcards())
			at.signatures = append(at.signatures, rule)
		}
	}
}

// Signatures returns the rules about signatures that hold for a repository,
// whoever asks: each must be satisfied. They are those of [Config], by
// pointer. It does not look at projects that do not match.
func (p *Policy) Signatures(repository string) []*SignatureRule {
	if !p.signed || !validRepository(repository) {
		return nil
	}
	var buf [8]*place
	var rules []*SignatureRule
	for _, at := range p.index.match(repository, nil, buf[:0]) {
		for _, r := range at.signatures {
			if !slices.Contains(rules, r) {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// at says where in the configuration an error is.
func at(source string, err error) error {
	if err == nil || source == "" {
		return err
	}
	return fmt.Errorf("%s: %w", source, err)
}

// UnknownWord is the error for a word that is none of those known, with the
// nearest right spelling or, if none is near, all of them.
func UnknownWord(what, word string, known []string) error {
	if near := Nearest(word, known); near != "" {
		return fmt.Errorf("unknown %s %q: did you mean %q?", what, word, near)
	}
	return fmt.Errorf("unknown %s %q: want one of %s", what, word, strings.Join(known, ", "))
}

// unknown is that error for words that stand in no order.
func unknown(what, word string, known []string) error {
	if Nearest(word, known) == "" {
		slices.Sort(known)
	}
	return UnknownWord(what, word, known)
}

// keys returns the sorted keys of a map, so that messages are stable.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Nearest returns the known word that was probably meant: the one at the
// smallest edit distance, at most two edits and less than half of the word
// away. It returns "" if there is none.
func Nearest(word string, known []string) string {
	best, distance := "", min(3, (len(word)+1)/2+1)
	lower := strings.ToLower(word)
	for _, k := range known {
		if d := editDistance(lower, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours between two words (optimal string alignment).
func editDistance(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// compiler is the state of [Compile].
type compiler struct {
	policy      *Policy
	roles       roles
	expressions map[string]*expression
	patterns    map[string]pattern
	places      []*place
	errs        []error
}

func (c *compiler) fail(source string, err error) {
	if err != nil {
		c.errs = append(c.errs, at(source, err))
	}
}

func (c *compiler) note(r *Rule) *Rule {
	c.policy.rules = append(c.policy.rules, r)
	return r
}

func (c *compiler) admin(a Admin) {
	conditions, err := c.conditions(a.Conditions)
	r := &Rule{
		Kind: RuleAdmin, Actions: AllActions, Subjects: a.Subjects, Source: a.Source,
		conditions: conditions, mapped: a.Mapped,
	}
	errs := []error{err}
	if len(a.Subjects) == 0 {
		errs = append(errs, errors.New("no subject: want for example group:platform"))
	}
	for _, s := range a.Subjects {
		if s == "anyone" || s == "authenticated" {
			errs = append(errs, fmt.Errorf("%q cannot be administrators", s))
		}
	}
	for _, o := range a.Override {
		switch o {
		case string(RuleImmutable):
			r.override |= aboveImmutable
		case string(RuleReadOnly):
			r.override |= aboveReadOnly
		default:
			errs = append(errs, unknown("override", o, []string{string(RuleImmutable), string(RuleReadOnly)}))
		}
	}
	if err := errors.Join(errs...); err != nil {
		c.fail(a.Source, fmt.Errorf("admin: %w", err))
		return
	}
	c.add(r, func(id subjectID) { c.policy.admins.add(id, r) })
	c.contest(r)
}

func (c *compiler) read(kind RuleKind, subject string, r Read) {
	rule := &Rule{Kind: kind, Patterns: r.Patterns, Actions: Pull | List, Subjects: []string{subject}, Source: r.Source}
	if len(r.Patterns) == 0 {
		c.fail(r.Source, fmt.Errorf("%s: no pattern; ** is every repository", kind))
	}
	c.spread(rule, string(kind))
}

func (c *compiler) catalog(value string) {
	switch value {
	case "", "admin":
	case "filtered":
		c.policy.listers = []bool{}
	default:
		c.fail("", fmt.Errorf("catalog: %w", unknown("value", value, []string{"admin", "filtered"})))
	}
}

func (c *compiler) projects(projects []Project) {
	seen := map[string]string{} // where each was written
	for _, p := range projects {
		if p.Name == "" {
			p.Name = strings.Join(p.Patterns, " ")
		}
		// Without names of their own, blocks of the same patterns are the
		// same project: the second would add to the first unnoticed.
		if source, ok := seen[p.Name]; ok {
			c.fail(p.Source, fmt.Errorf("project %q: there is one already%s", p.Name, in(source)))
		}
		seen[p.Name] = p.Source
		c.project(p)
	}
}

func in(source string) string {
	if source == "" {
		return ""
	}
	return " at " + source
}

func (c *compiler) project(p Project) {
	if len(p.Patterns) == 0 {
		c.fail(p.Source, fmt.Errorf("project %q: no pattern", p.Name))
	}
	for i, text := range p.Patterns {
		if slices.Contains(p.Patterns[:i], text) {
			c.fail(p.Source, fmt.Errorf("project %q: pattern %q twice", p.Name, text))
		}
		_, err := c.pattern(text)
		c.fail(p.Source, err)
	}
	for _, g := range p.Grants {
		c.grant(RuleGrant, p.Name, p.Patterns, g)
	}
	for _, g := range p.Denies {
		c.grant(RuleDeny, p.Name, p.Patterns, g)
	}
	for _, i := range p.Immutable {
		r := c.note(&Rule{Kind: RuleImmutable, Project: p.Name, Patterns: p.Patterns, Tags: i.Tags, Source: i.Source})
		if len(i.Tags) == 0 {
			c.fail(i.Source, errors.New("immutable: no tag pattern; * is every tag"))
		}
		c.fail(i.Source, checkTags(i.Tags))
		c.protect(r, func(at *place) { at.immutable = append(at.immutable, r) })
	}
	if p.ReadOnly {
		r := c.note(&Rule{Kind: RuleReadOnly, Project: p.Name, Patterns: p.Patterns, Source: p.Source})
		c.protect(r, func(at *place) { at.readOnly = r })
	}
	c.signature(p)
}
