package authz

import (
	"errors"
	"fmt"
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

	// listers are those who may list something, by subject, if the catalog
	// is filtered.
	listers []bool

	rules    []*Rule // in the order of the configuration
	mentions mentions
	shadows  bool
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
		conditions: conditions,
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
		// Under its patterns as well: a second block of the same ones would
		// add to the first unnoticed.
		byPatterns := "patterns " + strings.Join(slices.Sorted(slices.Values(p.Patterns)), " ")
		for _, key := range []string{"name " + p.Name, byPatterns} {
			if source, ok := seen[key]; ok && len(p.Patterns) > 0 {
				c.fail(p.Source, fmt.Errorf("project %q: there is one already%s", p.Name, in(source)))
				break
			}
			seen[key] = p.Source
		}
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
}

// grant compiles a grant or deny rule and puts it where it holds.
func (c *compiler) grant(kind RuleKind, project string, patterns []string, g Grant) {
	what := string(kind)
	if project != "" {
		what = fmt.Sprintf("project %q: %s", project, kind)
	}
	r, err := c.compileGrant(kind, project, patterns, g)
	if err != nil {
		c.fail(g.Source, fmt.Errorf("%s: %w", what, err))
	}
	c.spread(r, what)
}

// spread enters a rule at each of its patterns for each of its subjects.
func (c *compiler) spread(r *Rule, what string) {
	var places []*place
	for _, text := range r.Patterns {
		p, err := c.pattern(text)
		if err != nil {
			if r.Project == "" {
				c.fail(r.Source, fmt.Errorf("%s: %w", what, err))
			}
			continue
		}
		places = append(places, c.place(p))
	}
	c.policy.shadows = c.policy.shadows || r.Shadow
	c.add(r, func(id subjectID) {
		for _, at := range places {
			switch {
			case r.Shadow:
				at.shadow.add(id, r)
			case r.Kind == RuleDeny:
				at.denies.add(id, r)
			default:
				at.grants.add(id, r)
			}
		}
	})
}

// add enters a rule for each of its subjects, once.
func (c *compiler) add(r *Rule, enter func(subjectID)) {
	c.note(r)
	if r.conditions != nil && r.conditions.when != nil {
		c.policy.mentions.add(r.conditions.when.mentions)
	}
	seen := make(map[subjectID]bool, len(r.Subjects))
	for _, text := range r.Subjects {
		id, err := c.policy.subjects.intern(text)
		if err != nil {
			c.fail(r.Source, err)
			continue
		}
		if !seen[id] {
			seen[id] = true
			enter(id)
		}
	}
}

// protect enters what holds for everybody at the rule's patterns.
func (c *compiler) protect(r *Rule, enter func(*place)) {
	for _, text := range r.Patterns {
		if p, err := c.pattern(text); err == nil {
			enter(c.place(p.wildcards()))
		}
	}
}

// pattern parses a pattern once.
func (c *compiler) pattern(text string) (pattern, error) {
	if p, ok := c.patterns[text]; ok {
		return p, nil
	}
	p, err := parsePattern(text)
	if err == nil {
		c.patterns[text] = p
		c.policy.mentions.addPattern(p)
	}
	return p, err
}

func (c *compiler) place(p pattern) *place {
	at := c.policy.index.add(p)
	if !at.known {
		at.known = true
		c.places = append(c.places, at)
	}
	return at
}

// finish makes the rules findable.
func (c *compiler) finish() {
	p := c.policy
	p.admins.index()
	if p.listers != nil {
		p.listers = make([]bool, len(p.subjects.names))
	}
	for _, at := range c.places {
		at.grants.index()
		at.denies.index()
		at.shadow.index()
		for _, e := range at.grants.entries {
			if p.listers != nil && e.rule.Actions.Has(List) {
				p.listers[e.subject] = true
			}
		}
	}
}

// GrantsAnything reports whether there is a rule that allows somebody
// something.
func (p *Policy) GrantsAnything() bool {
	for _, r := range p.rules {
		switch r.Kind {
		case RuleAdmin, RuleGrant, RuleAnonymousRead, RuleAuthenticatedRead:
			return true
		}
	}
	return false
}
