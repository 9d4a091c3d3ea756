package authn

import "strings"

// Prefixed is implemented by authenticators of users, to whose names they give
// a prefix, so that nobody takes the name of another authenticator's user.
type Prefixed interface {
	// NamePrefix is what the names of all its users begin with.
	NamePrefix() string
}

// notNames returns, by authenticator, what names of its users must not begin
// with although its own prefix allows it: who may choose a name at one
// provider could choose one that looks like another's.
func notNames(list []Named) map[string][]string {
	refused := map[string][]string{}
	for _, n := range list {
		mine, ok := n.Authenticator.(Prefixed)
		if !ok {
			continue
		}
		for _, other := range list {
			theirs, ok := other.Authenticator.(Prefixed)
			if ok && theirs.NamePrefix() != mine.NamePrefix() && strings.HasPrefix(theirs.NamePrefix(), mine.NamePrefix()) {
				refused[n.Name] = append(refused[n.Name], theirs.NamePrefix())
			}
		}
	}
	return refused
}
