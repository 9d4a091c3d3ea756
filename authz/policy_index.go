package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// index finds the places whose pattern matches a repository. It is a trie
// by path segment, walked with all matching branches at once, so that the
// time depends on the repository's depth and on how many patterns match,
// not on how many there are.
type index struct{ root node }

// node stands behind the segments of a pattern that lead to it.
type node struct {
	literals literals
	star     *node
	deep     *node // behind a "**" that is followed by more
	globs    *globs

	exact *place // patterns that end here
	below *place // patterns that end here with a "**"

	// loops marks the node behind a "**": it stays active.
	loops bool
}

// literals are the children by literal segment. Most nodes have one.
type literals struct {
	name string
	only *node
	many map[string]*node
}

func (l *literals) find(name string) *node {
	if l.many != nil {
		return l.many[name]
	}
	if l.only != nil && l.name == name {
		return l.only
	}
	return nil
}

func (l *literals) add(name string) *node {
	if n := l.find(name); n != nil {
		return n
	}
	n := new(node)
	switch {
	case l.many != nil:
		l.many[name] = n
	case l.only == nil:
		l.name, l.only = name, n
	default:
		l.many = map[string]*node{l.name: l.only, name: n}
		l.name, l.only = "", nil
	}
	return n
}

// globs are the children by a segment with stars or placeholders inside,
// found by the literal text that they begin or end with, else one by one.
type globs struct {
	prefixes, suffixes byText
	rest               []globChild
	nodes              map[string]*node // by the segment's text
}

type globChild struct {
	segment segment
	node    *node
}

// byText are children by a literal beginning or end.
type byText struct {
	children map[string][]globChild
	lengths  []int // the distinct lengths of the keys
}

func (t *byText) add(key string, c globChild) {
	if t.children == nil {
		t.children = make(map[string][]globChild)
	}
	t.children[key] = append(t.children[key], c)
	if !slices.Contains(t.lengths, len(key)) {
		t.lengths = append(t.lengths, len(key))
	}
}

func (g *globs) add(s segment) *node {
	if n, ok := g.nodes[s.text]; ok {
		return n
	}
	if g.nodes == nil {
		g.nodes = make(map[string]*node)
	}
	c := globChild{s, new(node)}
	g.nodes[s.text] = c.node
	first, last := s.parts[0], s.parts[len(s.parts)-1]
	switch begins, ends := first.kind == partLiteral, last.kind == partLiteral; {
	case begins && (!ends || len(g.prefixes.children[first.text]) <= len(g.suffixes.children[last.text])):
		g.prefixes.add(first.text, c)
	case ends:
		g.suffixes.add(last.text, c)
	default:
		g.rest = append(g.rest, c)
	}
	return c.node
}

// match appends the nodes whose segment matches.
func (g *globs) match(name string, p *authn.Principal, active []*node) []*node {
	for _, n := range g.prefixes.lengths {
		if n <= len(name) {
			active = matchGlobs(g.prefixes.children[name[:n]], name, p, active)
		}
	}
	for _, n := range g.suffixes.lengths {
		if n <= len(name) {
			active = matchGlobs(g.suffixes.children[name[len(name)-n:]], name, p, active)
		}
	}
	return matchGlobs(g.rest, name, p, active)
}

func matchGlobs(children []globChild, name string, p *authn.Principal, active []*node) []*node {
	for i := range children {
		if children[i].segment.matches(name, p) {
			active = activate(active, children[i].node)
		}
	}
	return active
}

// add returns the place of a pattern.
func (x *index) add(p pattern) *place {
	n := &x.root
	for i, s := range p.segments {
		literal, isLiteral := s.literal()
		switch {
		case isLiteral:
			n = n.literals.add(literal)
		case s.deep() && i == len(p.segments)-1:
			return newPlace(&n.below)
		case s.deep():
			if n.deep == nil {
				n.deep = &node{loops: true}
			}
			n = n.deep
		case s.star():
			if n.star == nil {
				n.star = new(node)
			}
			n = n.star
		default:
			if n.globs == nil {
				n.globs = new(globs)
			}
			n = n.globs.add(s)
		}
	}
	return newPlace(&n.exact)
}

func newPlace(at **place) *place {
	if *at == nil {
		*at = new(place)
	}
	return *at
}

// match appends the places that match a repository for a principal. A place
// may occur twice.
func (x *index) match(repository string, p *authn.Principal, found []*place) []*place {
	var a, b [16]*node
	active, next := activate(a[:0], &x.root), b[:0]
	for rest, more := repository, true; more && len(active) > 0; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		for _, n := range active {
			if n.below != nil {
				found = append(found, n.below)
			}
			if n.loops {
				next = activate(next, n)
			}
			if child := n.literals.find(name); child != nil {
				next = activate(next, child)
			}
			if n.star != nil {
				next = activate(next, n.star)
			}
			if n.globs != nil {
				next = n.globs.match(name, p, next)
			}
		}
		active, next = next, active[:0]
	}
	for _, n := range active {
		if n.exact != nil {
			found = append(found, n.exact)
		}
	}
	return found
}

// activate adds a node, and the one behind a "**" that stands for nothing.
// Only nodes behind a "**" can be reached in two ways.
func activate(active []*node, n *node) []*node {
	if !n.loops || !slices.Contains(active, n) {
		active = append(active, n)
	}
	if n.deep != nil && !slices.Contains(active, n.deep) {
		active = append(active, n.deep)
	}
	return active
}

// place is one repository pattern with the rules that hold there.
type place struct {
	grants bucket
	denies bucket
	shadow bucket

	// immutable and readOnly hold for everybody.
	immutable []*Rule
	readOnly  *Rule
	owned     [len(ownedNames)]*Rule
	creators  []*Rule

	// signatures say what must be signed to be pulled from here.
	signatures []*SignatureRule

	// newTags and tagRules: see [Policy.Contested].
	newTags, tagRules bool

	known bool // to the compiler
}

// fewEntries is up to when looking at every entry of a bucket is quicker
// than a map.
const fewEntries = 4

// bucket finds rules by subject.
type bucket struct {
	entries []entry
	// spans says which entries are of a subject, where there are many.
	spans map[subjectID]span
}

type entry struct {
	subject subjectID
	rule    *Rule
}

type span struct{ from, to uint32 }

// add collects an entry; index makes them findable.
func (b *bucket) add(s subjectID, r *Rule) { b.entries = append(b.entries, entry{s, r}) }

// index makes the entries findable by subject, keeping the order of the
// configuration among those of one subject.
func (b *bucket) index() {
	b.entries = slices.Clip(b.entries)
	if len(b.entries) <= fewEntries {
		return
	}
	slices.SortStableFunc(b.entries, func(x, y entry) int { return cmp.Compare(x.subject, y.subject) })
	b.spans = make(map[subjectID]span)
	for i, e := range b.entries {
		s, ok := b.spans[e.subject]
		if !ok {
			s.from = uint32(i)
		}
		s.to = uint32(i) + 1
		b.spans[e.subject] = s
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
	c.contest(r)
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
