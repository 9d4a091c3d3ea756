package authz

import "fmt"

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
	var patterns []pattern
	for _, text := range r.Patterns {
		p, err := c.pattern(text)
		if err != nil {
			if r.Project == "" {
				c.fail(r.Source, fmt.Errorf("%s: %w", what, err))
			}
			continue
		}
		places, patterns = append(places, c.place(p)), append(patterns, p)
	}
	c.policy.shadows = c.policy.shadows || r.Shadow
	c.add(r, func(id subjectID) {
		if r.Kind == RuleDeny {
			c.policy.subjects.denied.add(c.policy.subjects.names[id], id)
		}
		for i, at := range places {
			if r.Kind == RuleDeny && !r.Shadow {
				c.policy.subjects.denied.addAt(patterns[i], id, r)
			}
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
	r.ids = make([]subjectID, 0, len(r.Subjects))
	for _, text := range r.Subjects {
		id, err := c.policy.subjects.intern(text)
		if err != nil {
			c.fail(r.Source, err)
			continue
		}
		if r.mapped {
			c.policy.noteMapped(r, id)
			id = c.policy.subjects.mappedID(id)
		}
		r.ids = append(r.ids, id)
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
	p.kept = p.subjects.denied.finish(p.subjects.names, p.mentions)
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
