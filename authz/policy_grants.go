package authz

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
