package management

import (
	"fmt"
	"slices"
	"strings"
)

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
