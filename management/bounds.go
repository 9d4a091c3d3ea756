package management

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// What may be handed on is decided here and nowhere else: for robots, access
// tokens and keys, whether they are made, replaced, enabled, imported or get a
// new secret, in our own form or in Harbor's, by the API or on the pages.
//
// Whoever has the secret of something has all that it is good for. So it must be
// within what the caller itself holds for certain, by the policy in force, and
// within what bounds the caller: scopes, networks, an end, and the conditions
// under which it is an administrator.

// handed is what a caller makes or hands out.
type handed struct {
	// robot is its name, empty for what is no robot.
	robot string
	// permissions are what it is given itself.
	permissions []authn.Limit
	// scopes are what it is good for in the API; a robot has none of its own.
	scopes []string
	// from and expires bound it.
	from    []string
	expires time.Time
	// owned: it is decided about as its owner each time, under the conditions
	// of the owner's rights.
	owned bool
}

// moreThanShown is said of what would be good for more, from elsewhere or longer
// than what it is made with.
const moreThanShown = "it would be good for more than what you show"

// mayHandOn adds what keeps a caller from handing something on.
func (m *Manager) mayHandOn(who *Caller, h handed, wrong *problems) {
	for i, s := range h.scopes {
		if !who.scopes.has(Scope(s)) {
			wrong.add(at("scopes", i), "your credential is not good for %s itself", s)
		}
	}
	if h.robot != "" {
		m.mayGive(who, "permissions", h.permissions, wrong)
		m.mayBe(who, h.robot, wrong)
	}
	withinCredential(who, h.from, h.expires, wrong)
	if h.owned {
		return
	}
	var beyond problems
	m.withinTerms(who, h.from, h.expires, &beyond)
	if len(beyond) > 0 && !m.heldPlainly(who, h) {
		*wrong = append(*wrong, beyond...)
	}
}

// isLasting reports whether the caller shows something that was made to last, a
// token, a key or a robot's secret: what is made with it must not outlive it,
// and be good from no other networks. People and jobs prove each time who they
// are. A bootstrap key is made to be outlived.
func isLasting(who *Caller) bool {
	if who.Principal != nil {
		return who.Principal.Credential == state.CredentialToken || who.Principal.Kind == authn.KindRobot
	}
	return who.actor.Kind == "api_key"
}

// withinCredential holds what is made to the networks and the end of what the
// caller shows.
func withinCredential(who *Caller, from []string, expires time.Time, wrong *problems) {
	if !isLasting(who) {
		return
	}
	if !endsWithin(expires, who.expires) {
		wrong.add("expires", "your credential itself ends at %s", who.expires.Format(time.RFC3339))
	}
	if !sourcesWithin(from, who.from) {
		wrong.add("from", "your credential is accepted only from %v itself", who.from)
	}
}

// endsWithin reports whether something ends no later than something else; no
// time is never.
func endsWithin(inner, outer time.Time) bool {
	return outer.IsZero() || !inner.IsZero() && !inner.After(outer)
}

// withinTerms holds what is made to the conditions under which the caller is an
// administrator: to those of one of the rules that make it one now.
func (m *Manager) withinTerms(who *Caller, from []string, expires time.Time, wrong *problems) {
	if who.Principal == nil {
		return
	}
	terms := m.policy().AdminTerms(who.Principal, m.query(who))
	for _, t := range terms {
		if !t.Changing && sourcesWithin(from, t.From) && endsWithin(expires, t.Until) {
			return
		}
	}
	if len(terms) == 0 {
		return
	}
	switch t := terms[0]; {
	case t.Changing:
		wrong.add("expires", "you are an administrator at some hours or as an expression says, and this cannot be bound to that")
	case !sourcesWithin(from, t.From):
		wrong.add("from", "you are an administrator only from %v", t.From)
	default:
		wrong.add("expires", "you are an administrator only until %s", t.Until.Format(time.RFC3339))
	}
}

// heldPlainly reports whether the caller may hand a robot on whether or not it
// is an administrator: then the conditions of that do not matter.
func (m *Manager) heldPlainly(who *Caller, h handed) bool {
	project := (&state.Robot{Name: h.robot}).Project()
	if who.Principal == nil || project == "" {
		return false
	}
	plain := m.policy().PlainHoldings(who.Principal, m.query(who))
	for _, pattern := range m.patternsOf(project) {
		if plain.Missing(authn.Limit{Type: authz.TypeRepository, Name: pattern, Actions: []string{"manage"}}) != 0 {
			return false
		}
	}
	return len(plain.Lacking(robotPrincipal(h.robot))) == 0 &&
		!slices.ContainsFunc(h.permissions, func(l authn.Limit) bool { return plain.Missing(l) != 0 })
}

// managing are the scopes that who manages repositories needs for it: a robot
// that may do it has them.
var managing = []string{string(ScopeRobotsWrite), string(ScopeProjectsWrite), string(ScopeSettingsWrite), string(ScopePolicyExplain)}

// mayManage reports whether the caller's credential is good for all that the
// right to manage is about.
func mayManage(who *Caller) bool { return who.scopes.hasAll(managing) }

// mayGive adds what the caller cannot hand on, since it does not hold it.
func (m *Manager) mayGive(who *Caller, field string, permissions []authn.Limit, wrong *problems) {
	for i, l := range permissions {
		if authz.TokenActions(l.Actions...).Has(authz.Manage) && !mayManage(who) {
			wrong.add(at(field, i), "you cannot give manage on %s: your credential is not good for all of %v itself", l.Name, managing)
			continue
		}
		if who.Principal == nil {
			continue
		}
		if missing := m.holdings(who).Missing(l); missing != 0 {
			wrong.add(at(field, i), "you cannot give %s on %s: you do not hold it for certain on all of it yourself", missing, l.Name)
		}
	}
}

// mayBe adds that a robot of a name has more than the caller, whatever it is
// given: by rules, role mappings and memberships that name it, or as an owner.
// Whoever has its secret would have that too. What exactly that is, is not for
// everybody to know.
func (m *Manager) mayBe(who *Caller, robot string, wrong *problems) {
	p := robotPrincipal(robot)
	everything := m.admin(who) && who.scopes.has(ScopeAll)
	if !everything && slices.Contains(m.declared.Mentioned, p.String()) {
		wrong.add("name", "the configuration gives %s rights beside the registry, and you are no administrator", robot)
		return
	}
	if !who.scopes.has(ScopeAll) {
		for _, g := range m.policy().Gains(p) {
			if g.Rule.Kind == authz.RuleAdmin || g.Actions.Has(authz.Manage) && !mayManage(who) {
				wrong.add("name", "rules give %s rights in this API that your credential is not good for", robot)
				return
			}
		}
	}
	switch {
	case who.Principal == nil:
	case len(m.holdings(who).Lacking(p)) > 0:
		wrong.add("name", "rules, role mappings or memberships give %s rights that you do not hold for certain yourself", robot)
	case !m.admin(who) && m.ownsSomething(p):
		wrong.add("name", "%s owns repositories, where you may do less than their owner", robot)
	}
}

// mayAppoint adds what keeps a caller from giving somebody else rights for a
// while, or for good. Whoever is bounded makes nobody an administrator who is
// not, and who is an administrator under conditions does not get without them
// what it has by them.
func (m *Manager) mayAppoint(who *Caller, field, subject string, administrator bool, from []string, until time.Time, wrong *problems) {
	var found problems
	if administrator {
		withinCredential(who, from, until, &found)
	}
	if administrator || who.Principal != nil && authz.About(subject, who.Principal) {
		m.withinTerms(who, from, until, &found)
	}
	for _, p := range found {
		wrong.add(field, "%s", p.Detail)
	}
}

// withinLimits adds the permissions of a token that the caller's own credential
// is not good for.
func withinLimits(who *Caller, limits []authn.Limit, wrong *problems) {
	if who.Principal.Limits == nil {
		return
	}
	if limits == nil {
		wrong.add("permissions", "are needed: your credential is limited itself")
	}
	for i, l := range limits {
		if beyond := authz.Beyond(who.Principal.Limits, l); beyond != 0 {
			wrong.add(at("permissions", i), "your credential is not good for %s on %s itself", beyond, l.Name)
		}
	}
}

// checkLifetime checks when something is to end; zero is never.
func (m *Manager) checkLifetime(wrong *problems, field string, expires time.Time, limit Duration) {
	most := time.Duration(limit)
	now := m.now()
	switch {
	case !expires.IsZero() && !expires.After(now):
		wrong.add(field, "has passed")
	case most > 0 && expires.IsZero():
		wrong.add(field, "is needed: at most %s from now", most)
	case most > 0 && expires.After(now.Add(most)):
		wrong.add(field, "is too late: at most %s from now", most)
	}
}

// checkFrom checks networks.
func (m *Manager) checkFrom(wrong *problems, field string, from []string) {
	if len(from) == 0 && m.config.RequireFrom {
		wrong.add(field, "is needed: say from which networks it is accepted")
	}
	for i, text := range from {
		if _, err := authn.ParseSource(text); err != nil {
			wrong.add(at(field, i), "%v", err)
		}
	}
}

// trimIndex takes the "permissions[0]: " off an error, which the caller knows
// better.
func trimIndex(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// sourcesWithin reports whether all networks of a list are in those of another;
// none is all addresses.
func sourcesWithin(inner, outer []string) bool {
	if len(outer) == 0 {
		return true
	}
	allowed, err := parseSources(outer)
	wanted, errWanted := parseSources(inner)
	if err != nil || errWanted != nil || len(wanted) == 0 {
		return false
	}
	for _, w := range wanted {
		if !containsNetwork(allowed, w) {
			return false
		}
	}
	return true
}

func containsNetwork(list []netip.Prefix, p netip.Prefix) bool {
	for _, l := range list {
		if l.Bits() <= p.Bits() && l.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// parseSources parses networks, nil if there are none.
func parseSources(list []string) ([]netip.Prefix, error) {
	var from []netip.Prefix
	for _, text := range list {
		p, err := authn.ParseSource(text)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		from = append(from, p)
	}
	return from, nil
}
