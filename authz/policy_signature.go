package authz

import (
	"errors"
	"slices"
)

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
