package registryauth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// sharedOnce remembers what authenticators of a realm cannot share, and which
// of them has it.
type sharedOnce struct {
	names    map[string]string
	prefixes map[string]nameOwner
	issuers  map[string]string
	identity map[string]string // issuers that users are known by
	declared map[string]string // workloads by name
	unlisted map[string]string // names of workloads that are not listed, by prefix
	accounts map[string]string // robots and companion services by name
	services map[string]string // companion services by name
	acting   map[string]string // workloads by the robot that they act as
	users    map[string]string // declared users by the name that they log in with
}

func newSharedOnce() *sharedOnce {
	return &sharedOnce{
		names: map[string]string{}, prefixes: map[string]nameOwner{}, issuers: map[string]string{}, identity: map[string]string{},
		declared: map[string]string{}, unlisted: map[string]string{}, accounts: map[string]string{},
		services: map[string]string{}, acting: map[string]string{}, users: map[string]string{},
	}
}

// once notes that an authenticator has a thing, and returns who else has.
func once(table map[string]string, thing, name string) (other string, taken bool) {
	if other, taken = table[thing]; !taken {
		table[thing] = name
	}
	return other, taken
}

func (s *sharedOnce) name(_ any, name string) error {
	if _, taken := once(s.names, name, name); taken {
		return fmt.Errorf("authenticator %q is configured twice", name)
	}
	return nil
}

// nameOwner is whose names have a prefix: those in a claim of an issuer. The
// claim is empty where there are no people.
type nameOwner struct{ authenticator, issuer, claim string }

// same reports whether two call the same people by the same names.
func (o nameOwner) same(other nameOwner) bool {
	return o.issuer != "" && o.issuer == other.issuer && (o.claim == other.claim || o.claim == "" || other.claim == "")
}

// prefix keeps the names of users apart.
func (s *sharedOnce) prefix(m any, name string) error {
	p, ok := m.(authn.Prefixed)
	if !ok || !namesUsers(m) {
		return nil
	}
	prefix := p.NamePrefix()
	owner := nameOwner{authenticator: name}
	if source, ok := m.(interface {
		NameSource() (issuer, claim string)
	}); ok {
		owner.issuer, owner.claim = source.NameSource()
	}
	other, taken := s.prefixes[prefix]
	switch {
	case taken && owner.same(other):
	case taken && prefix == "":
		return fmt.Errorf("%s and %s would both call their users by plain names: give one of them a `prefix`, or a user of the one could take a name of the other", other.authenticator, name)
	case taken:
		return fmt.Errorf("%s and %s have the same prefix %q: a user of the one could take a name of the other", other.authenticator, name, prefix)
	}
	if !taken || other.claim == "" {
		s.prefixes[prefix] = owner
	}
	return nil
}

// namesUsers reports whether an authenticator names people: unless it says
// otherwise, it does.
func namesUsers(module any) bool {
	n, says := module.(interface{ NamesUsers() bool })
	return !says || n.NamesUsers()
}

// issuer sends a token to one authenticator.
func (s *sharedOnce) issuer(m any, name string) error {
	for _, issuer := range tokenIssuers(m) {
		if other, taken := once(s.issuers, issuer, name); taken {
			return fmt.Errorf("%s and %s are for tokens of the same issuer, and each would refuse those of the other: keep one of them", other, name)
		}
	}
	return nil
}

// tokenIssuers are those whose tokens an authenticator takes for its own.
func tokenIssuers(module any) []string {
	switch m := module.(type) {
	case interface{ TokenIssuer() string }:
		return []string{m.TokenIssuer()}
	case interface{ TokenIssuers() []string }:
		return m.TokenIssuers()
	}
	return nil
}

// identities keeps the users of a provider from being those of another that it
// claims to have followed.
func (s *sharedOnce) identities(m any, name string) error {
	i, ok := m.(interface{ IdentityIssuer() string })
	if !ok {
		return nil
	}
	if other, taken := once(s.identity, i.IdentityIssuer(), name); taken {
		return fmt.Errorf("%s and %s have users of the same issuer %s: a subject_alias is for a provider that is gone", other, name, i.IdentityIssuer())
	}
	return nil
}

// workloads keeps the names of workloads apart.
func (s *sharedOnce) workloads(m any, name string) error {
	w, ok := m.(interface{ WorkloadNames() []string })
	if !ok {
		return nil
	}
	for _, workload := range w.WorkloadNames() {
		if other, taken := once(s.declared, workload, name); taken {
			return fmt.Errorf("%s and %s both have a workload %q: rules could not tell them apart", other, name, workload)
		}
	}
	return nil
}

// robots keeps the names of robots and of companion services apart: rules call
// both robots. A workload may act as a robot that is declared.
func (s *sharedOnce) robots(m any, name string) error {
	var names []string
	switch m := m.(type) {
	case *Robots:
		for _, robot := range m.Robots {
			names = append(names, robot.Name)
		}
	case *ServiceSecrets:
		for _, service := range m.RobotNames() {
			names = append(names, service)
			s.services[service] = name
		}
	case *Workload:
		for _, robot := range m.RobotNames() {
			s.acting[robot] = name
		}
	case *Local: // robots come first, so that such a user could never log in
		for _, user := range m.Users {
			s.users[user.Name] = name
		}
	}
	for _, robot := range names {
		if other, taken := once(s.accounts, robot, name); taken && other != name {
			return fmt.Errorf("%s and %s both have a robot %q: rules could not tell them apart", other, name, robot)
		}
	}
	return nil
}

// clients keeps apart the names of workloads that nobody lists.
func (s *sharedOnce) clients(m any, name string) error {
	w, ok := m.(interface{ WorkloadPrefix() (string, bool) })
	if !ok {
		return nil
	}
	prefix, on := w.WorkloadPrefix()
	if !on {
		return nil
	}
	if other, taken := once(s.unlisted, prefix, name); taken {
		return fmt.Errorf("%s and %s would both call their clients by plain names: give one of them a `prefix`", other, name)
	}
	return nil
}

// clientsAgainstWorkloads keeps unlisted workloads from taking the names of
// listed ones.
func (s *sharedOnce) clientsAgainstWorkloads() error {
	for _, prefix := range slices.Sorted(maps.Keys(s.unlisted)) {
		for _, workload := range slices.Sorted(maps.Keys(s.declared)) {
			if strings.HasPrefix(workload, prefix) {
				return fmt.Errorf("a client of %s could take the name of workload %q of %s: give %[1]s a `prefix` of its own", s.unlisted[prefix], workload, s.declared[workload])
			}
		}
	}
	return nil
}

// workloadsAgainstServices keeps workloads from acting as a companion service,
// which is accepted from some addresses only.
func (s *sharedOnce) workloadsAgainstServices() error {
	for _, robot := range slices.Sorted(maps.Keys(s.acting)) {
		if service, taken := s.services[robot]; taken {
			return fmt.Errorf("a workload of %s acts as robot %q, which is a companion service of %s: rules could not tell them apart", s.acting[robot], robot, service)
		}
	}
	return nil
}

// usersAgainstRobots keeps declared users from having the login name of a robot:
// the robot would be asked first, and the user be refused for good.
func (s *sharedOnce) usersAgainstRobots() error {
	for _, user := range slices.Sorted(maps.Keys(s.users)) {
		robots, taken := s.accounts[user]
		if _, service := s.services[user]; taken && !service { // services do not log in by name
			return fmt.Errorf("%s has a user %q, and %s has a robot of that name: both would log in as %[2]s", s.users[user], user, robots)
		}
	}
	return nil
}

// userClaim is the claim with the user name, or its default.
func userClaim(configured string) string {
	if configured == "" {
		return "preferred_username"
	}
	return configured
}
