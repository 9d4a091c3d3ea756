package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
