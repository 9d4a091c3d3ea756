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
