package authn

import (
	"cmp"
	"context"
	"slices"
)

// Facts are what a realm must know of an authenticator before the first
// request: by them it refuses two that would get in each other's way. Facts
// that are left out are the zero value, and that means there is none.
type Facts struct {
	// Name tells the authenticators of a realm apart and is stable over
	// restarts: registry tokens carry it. Default: the name of its module.
	Name string
	// Prefix begins the names of all its users, groups and roles.
	Prefix string
	// People reports whether it names people, or groups and roles of people.
	People bool
	// Passwords reports whether it takes passwords that people chose, so that
	// a realm can switch those off: see [Chain.WithoutPasswords].
	Passwords bool
	// Issuers are whose tokens are its own.
	Issuers []string
	// Identity is the issuer that its users are known by.
	Identity string
	// NameFrom is where the names of its users come from.
	NameFrom NameSource
	// Workloads are the workloads that it lists by name.
	Workloads []string
	// Clients reports whether it has workloads that nobody lists. Their names
	// begin with Prefix.
	Clients bool
	// Robots and Services are the robots and the companion services that it
	// declares. Rules call both robots.
	Robots, Services []string
	// Logins are the names that users whom it lists log in with, without the
	// prefix that rules know them by.
	Logins []string
	// ActsAs are the robots as which its workloads act.
	ActsAs []string
	// Rereads are the files that it reads again by itself when they change.
	Rereads []string
}

// configured returns the files that are configured.
func configured(files ...string) []string {
	files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
	if len(files) == 0 {
		return nil
	}
	return files
}

// NameSource is the claim of an issuer that names are taken from. The claim is
// empty where there are no people.
type NameSource struct{ Issuer, Claim string }

// same reports whether two call the same people by the same names.
func (s NameSource) same(other NameSource) bool {
	return s.Issuer != "" && s.Issuer == other.Issuer && (s.Claim == other.Claim || s.Claim == "" || other.Claim == "")
}

// Described is implemented by authenticators that state their [Facts].
type Described interface {
	Facts() Facts
}

// Starter is implemented by authenticators with work in the background.
type Starter interface {
	// Start begins it, and returns. It goes on until ctx is done.
	Start(ctx context.Context)
}

// Member is an authenticator of a realm.
type Member struct {
	Facts

	Authenticator Authenticator

	stated bool // by the authenticator itself
}

// NewMember returns the member that an authenticator is. It has the name that
// the authenticator states, or else the given one.
func NewMember(name string, a Authenticator) Member {
	m := Member{Authenticator: a}
	if d, ok := a.(Described); ok {
		m.Facts, m.stated = d.Facts(), true
	}
	m.Name = cmp.Or(m.Name, name)
	return m
}

// userClaim is the claim with the user name, or its default.
func userClaim(configured string) string { return cmp.Or(configured, defaultUsername) }
