package authz

// A decision about a push or a deletion may depend on which tags there are at
// the registry, and somebody else's push can change that after the registry was
// asked. Such pushes take turns, also those of principals whose own right does
// not depend on it.

// contest notes where a rule makes decisions depend on tags.
func (c *compiler) contest(r *Rule) {
	if r.Shadow {
		return
	}
	// Whoever has one and not the other may only make new tags.
	newTags := r.Actions&(Push|Overwrite) != 0 && !r.Actions.Has(Push|Overwrite) ||
		r.conditions != nil && r.conditions.when != nil && r.conditions.when.perAction
	tagRules := len(r.Tags) > 0 && r.Actions&Delete != 0
	switch {
	case !newTags && !tagRules:
	case r.Kind == RuleAdmin:
		c.policy.newTags = true
	default:
		c.protect(r, func(at *place) {
			at.newTags, at.tagRules = at.newTags || newTags, at.tagRules || tagRules
		})
	}
}

// Contested reports whether somebody's right to push a tag of a repository
// depends on its absence, and whether somebody's right to delete a manifest by
// digest depends on whether the tag needs it. It does not matter who asks.
func (p *Policy) Contested(repository, tag string) (absence, deletion bool) {
	if !validRepository(repository) {
		return false, false
	}
	var buf [16]*place
	places := p.index.match(repository, nil, buf[:0])
	kept := immutable(places, tag) != nil
	absence, deletion = kept || p.newTags, kept
	for _, at := range places {
		absence, deletion = absence || at.newTags, deletion || at.tagRules
	}
	return absence, deletion
}
