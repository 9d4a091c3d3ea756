package authn

// CredentialPassword is [Principal.Credential] of a person who showed a
// password that the gateway has the hash of.
const CredentialPassword = "password"

// BreakGlass is implemented by authenticators some of whose accounts are there
// for the day on which nothing else works.
type BreakGlass interface {
	// BreakGlass returns the same authenticator with these accounts only,
	// nil if it has none.
	BreakGlass() Authenticator
}

// IsPassword reports whether what is shown can be a password that somebody
// chose: it comes by [SchemeBasic] and is neither a JWT nor a secret of ours,
// whose shape says more than the user name, nor a robot's, whom a name such as
// "robot$…" gives away.
func (c *Credential) IsPassword() bool {
	if c.Scheme != SchemeBasic || looksLikeJWT(c.Secret) {
		return false
	}
	_, isSecret := secretKind(c.Secret)
	return !isSecret && !c.robots.onlyRobots(c.Username)
}
