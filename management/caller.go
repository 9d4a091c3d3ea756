package management

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Caller is who asks for an operation, as [Manager.Caller] and
// [Manager.KeyCaller] make it. What it may do is bounded twice: by what its
// credential is good for, the scopes, and by what the policy lets it do. It is
// for one request, and not for several goroutines.
type Caller struct {
	// Principal is the person or machine; nil for a key of the API, which
	// may do whatever its scopes say.
	Principal *authn.Principal

	// Remote and Agent are the client's address and User-Agent, RequestID is
	// that of the access log.
	Remote    netip.Addr
	Agent     string
	RequestID string

	scopes  scopeSet
	actor   state.Actor
	expires time.Time // of the credential; zero: never
	from    []string  // of the credential; nil: from anywhere
	kind    string    // of the record that the credential is, for its usage
	once    *once     // what an idempotency key is remembered by

	// browser: the credential is one that browsers send by themselves;
	// confirmed: see Confirm.
	browser, confirmed bool

	held   *authz.Holdings // by heldBy, see holdings
	heldBy *authz.Policy
}

// CredentialSession is the kind of credential that the session of a browser
// is.
const CredentialSession = state.CredentialSession

// Local returns a caller who may do everything: whoever has the machine's own
// administration endpoint, or the gateway itself.
func Local(kind, name string) *Caller {
	return &Caller{scopes: scopeSet{string(ScopeAll)}, actor: state.Actor{Kind: kind, Name: name}}
}

// Caller returns the caller that a principal is who was authenticated just
// now. Access tokens are good for the scopes that they were made with, all
// other credentials for all that the principal may do; registry tokens and
// identity tokens are good for nothing here.
func (m *Manager) Caller(p *authn.Principal) (*Caller, error) {
	if p.IsAnonymous() {
		return nil, fail(CodeUnauthenticated, "a credential is needed")
	}
	if err := m.state.CheckStale(p); err != nil {
		return nil, err
	}
	if err := m.state.Check(p); err != nil {
		return nil, &Error{Code: CodeUnauthenticated, Detail: "the credential is not good any more", err: err}
	}
	c := &Caller{
		Principal: p, scopes: scopeSet{string(ScopeAll)}, expires: p.Expires,
		actor: state.Actor{Kind: string(p.Kind), Name: p.Name, ID: p.CredentialID},
	}
	c.browser = p.Credential == CredentialSession
	switch p.Credential {
	case authn.CredentialRegistryToken, "identity_token":
		return nil, fail(CodeUnauthenticated, "a token for the registry is not good for this API")
	case state.CredentialToken:
		item, ok := m.state.Tokens.Get(p.CredentialID)
		if !ok {
			return nil, fail(CodeUnauthenticated, "the access token is not good any more")
		}
		c.scopes, c.from, c.kind = item.Value.Scopes, item.Value.From, m.state.Tokens.Kind()
	}
	if p.Kind == authn.KindRobot {
		c.from, c.expires = m.robotBounds(p)
	}
	return c, nil
}

// Actor returns the caller as audit events have it.
func (c *Caller) Actor() state.Actor {
	a := c.actor
	if c.Remote.IsValid() {
		a.Remote = c.Remote.String()
	}
	a.RequestID = c.RequestID
	return a
}

// robotBounds are from where and until when a robot is accepted, however it
// proved to be that robot.
func (m *Manager) robotBounds(p *authn.Principal) (from []string, expires time.Time) {
	if d := m.declaredRobot(p.Name); d != nil {
		from = d.From
		expires, _ = authn.ParseExpiry(d.Expires) // checked when it was declared
	} else if networks, service := m.declared.ServiceNetworks[p.Name]; service {
		from = networks
	} else if item, ok := m.state.Robots.Get(p.Name); ok && m.takenBy(p.Name) == "" {
		from, expires = item.Value.From, item.Value.Expires
	}
	// A secret that was replaced ends earlier.
	if p.Authenticator == authn.RobotsName && !p.Expires.IsZero() && (expires.IsZero() || p.Expires.Before(expires)) {
		expires = p.Expires
	}
	return from, expires
}

// query is what the policy is asked with.
func (m *Manager) query(who *Caller) *authz.Query {
	return &authz.Query{Remote: who.Remote, UserAgent: who.Agent, Time: m.now()}
}

// needs returns an error unless the caller's credential is good for a scope.
func needs(who *Caller, scope Scope) error {
	if who.scopes.has(scope) {
		return nil
	}
	return fail(CodeScope, "the credential is not good for %s", scope)
}

// holdings are what the caller may hand on, as the policy is now.
func (m *Manager) holdings(who *Caller) *authz.Holdings {
	policy := m.policy()
	if who.held == nil || who.heldBy != policy {
		who.held, who.heldBy = policy.Holdings(who.Principal, m.query(who)), policy
	}
	return who.held
}

// everything is the permission that only an administrator's credential has
// whole.
var everything = authn.Limit{Type: authz.TypeRepository, Name: "**", Actions: []string{"*"}}

// admin reports whether the caller may do everything that its scopes are
// about: a key, or an administrator whose credential has no narrower limits.
func (m *Manager) admin(who *Caller) bool {
	if who.Principal == nil {
		return true
	}
	h := m.holdings(who)
	return h.Admin() && h.Missing(everything) == 0
}

// needsAdmin returns an error unless the credential is good for a scope and
// the caller is an administrator.
func (m *Manager) needsAdmin(who *Caller, scope Scope) error {
	if err := needs(who, scope); err != nil {
		return err
	}
	if !m.admin(who) {
		return fail(CodeForbidden, "only administrators may do this")
	}
	return nil
}

// manages reports whether the caller may manage all of some repositories.
func (m *Manager) manages(who *Caller, patterns []string) bool {
	if m.admin(who) {
		return true
	}
	for _, p := range patterns {
		if m.holdings(who).Missing(authn.Limit{Type: authz.TypeRepository, Name: p, Actions: []string{"manage"}}) != 0 {
			return false
		}
	}
	return len(patterns) > 0
}

// Scope is something that a credential may be good for in the API, such as
// "robots:read". Who may write may read. "*" is everything.
type Scope string

// The scopes.
const (
	ScopeAll            Scope = "*"
	ScopeRobotsRead     Scope = "robots:read"
	ScopeRobotsWrite    Scope = "robots:write"
	ScopeTokensRead     Scope = "tokens:read"
	ScopeTokensWrite    Scope = "tokens:write"
	ScopeKeysRead       Scope = "keys:read"
	ScopeKeysWrite      Scope = "keys:write"
	ScopeRolesRead      Scope = "roles:read"
	ScopeRolesWrite     Scope = "roles:write"
	ScopeProjectsRead   Scope = "projects:read"
	ScopeProjectsWrite  Scope = "projects:write"
	ScopeOwnersRead     Scope = "owners:read"
	ScopeOwnersWrite    Scope = "owners:write"
	ScopeUsersRead      Scope = "users:read"
	ScopeUsersWrite     Scope = "users:write"
	ScopeSettingsRead   Scope = "settings:read"
	ScopeSettingsWrite  Scope = "settings:write"
	ScopeRevocations    Scope = "revocations:write"
	ScopeAudit          Scope = "audit:read"
	ScopeSigningRead    Scope = "signing:read"
	ScopeSigningWrite   Scope = "signing:write"
	ScopePolicyExplain  Scope = "policy:explain"
	readSuffix, writing       = ":read", ":write"
)

// Scopes are all of them.
var Scopes = []Scope{
	ScopeAll, ScopeRobotsRead, ScopeRobotsWrite, ScopeTokensRead, ScopeTokensWrite, ScopeKeysRead, ScopeKeysWrite,
	ScopeRolesRead, ScopeRolesWrite, ScopeProjectsRead, ScopeProjectsWrite, ScopeOwnersRead, ScopeOwnersWrite,
	ScopeUsersRead, ScopeUsersWrite, ScopeSettingsRead, ScopeSettingsWrite, ScopeRevocations, ScopeAudit,
	ScopeSigningRead, ScopeSigningWrite, ScopePolicyExplain,
}

// CheckScope returns an error if there is no such scope.
func CheckScope(text string) error {
	if slices.Contains(Scopes, Scope(text)) {
		return nil
	}
	return fmt.Errorf("unknown scope %.40q: want one of %s", text, scopeNames())
}

func scopeNames() string {
	names := make([]string, len(Scopes))
	for i, s := range Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// scopeSet is what one credential is good for.
type scopeSet []string

// has reports whether the credential is good for something.
func (s scopeSet) has(want Scope) bool {
	for _, have := range s {
		if have == string(ScopeAll) || have == string(want) {
			return true
		}
		if of, ok := strings.CutSuffix(have, writing); ok && string(want) == of+readSuffix {
			return true
		}
	}
	return false
}

// hasAll reports whether it is good for all that others are good for.
func (s scopeSet) hasAll(others []string) bool {
	return !slices.ContainsFunc(others, func(o string) bool { return !s.has(Scope(o)) })
}

// Confirm says that the person at the browser has just confirmed what is done
// now, in a way that no script on a page can.
func (c *Caller) Confirm() { c.confirmed = true }

// mayCreate refuses to create a credential with what a browser sends by
// itself: a script on the gateway's host could do it, and the credential would
// outlast everything that ends the script.
func mayCreate(who *Caller) error {
	if !who.browser || who.confirmed {
		return nil
	}
	return fail(CodeUnconfirmed, "a browser's session cannot create credentials here: use the pages, which ask the person to confirm it")
}

// CheckToken returns why [Manager.CreateToken] would refuse a token, as far as
// that can be told before it is confirmed.
func (m *Manager) CheckToken(who *Caller, in NewToken) error {
	if err := needs(who, ScopeTokensWrite); err != nil {
		return err
	}
	_, err := m.checkToken(who, in)
	return err
}

// CheckRobot returns why [Manager.CreateRobot] would refuse a robot, as far as
// that can be told before it is confirmed.
func (m *Manager) CheckRobot(who *Caller, in NewRobot) error {
	if err := authn.CheckRobotName(in.Name); err != nil {
		return invalid("name", "%v", err)
	}
	if !m.managesRobot(who, in.Name) {
		return fail(CodeForbidden, "only who manages all of the project may change its robots, and only administrators those without a project")
	}
	if _, exists := m.state.Robots.Get(in.Name); exists || m.declaredRobot(in.Name) != nil {
		return fail(CodeExists, "there is a robot %q", in.Name)
	}
	_, err := m.checkRobot(who, in.Name, in.RobotInput)
	return err
}
