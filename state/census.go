package state

import "time"

// ExpiringSoon is how long before their end things count as expiring.
const ExpiringSoon = 7 * 24 * time.Hour

// Census is how many records of a kind there are.
type Census struct {
	Kind    string // as in the store: "robot"
	Records int
	// Expires says that they can be given an end, Expiring how many are good
	// now and end within [ExpiringSoon].
	Expires  bool
	Expiring int
}

// Census counts the records that people care for.
func (s *State) Census() []Census {
	now := s.now()
	soon := func(expires time.Time, disabled bool) bool {
		return !disabled && !expires.IsZero() && expires.After(now) && expires.Before(now.Add(ExpiringSoon))
	}
	return []Census{
		count(s.Robots, func(r *Robot) bool { return soon(r.Expires, r.Disabled) }),
		count(s.Tokens, func(t *Token) bool { return soon(t.Expires, t.Disabled) }),
		count(s.APIKeys, func(k *APIKey) bool { return soon(k.Expires, k.Disabled) && !k.Bootstrap }),
		count(s.Projects, nil),
		count(s.RoleMappings, nil),
		count(s.Users, nil),
		count(s.Sessions, nil),
		count(s.IdentityTokens, nil),
	}
}

func count[T any](t *Table[T], expiring func(*T) bool) Census {
	c := Census{Kind: t.kind, Expires: expiring != nil}
	for item := range t.All() {
		c.Records++
		if c.Expires && expiring(item.Value) {
			c.Expiring++
		}
	}
	return c
}
