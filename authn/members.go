package authn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckMembers refuses authenticators that would get in each other's way in a
// realm: each must have names, issuers and accounts of its own.
func CheckMembers(members []Member) error {
	seen := newClaimed()
	for i := range members {
		m := &members[i]
		// Before the name, which for some is made of the prefix.
		for _, check := range []func(*Member) error{seen.prefix, seen.name, seen.issuer, seen.users, seen.workload, seen.robot, seen.client} {
			if err := check(m); err != nil {
				return err
			}
		}
	}
	return errors.Join(seen.workloadsAgainstServices(), seen.clientsAgainstWorkloads(), seen.usersAgainstRobots())
}

// claimed remembers which member has what others must not have.
type claimed struct {
	names     map[string]string
	prefixes  map[string]*Member
	issuers   map[string]string
	identity  map[string]string // issuers that users are known by
	workloads map[string]string // by name
	clients   map[string]string // workloads that are not listed, by prefix
	accounts  map[string]string // robots and companion services by name
	services  map[string]string // companion services by name
	acting    map[string]string // workloads by the robot that they act as
	logins    map[string]string // users by the name that they log in with
}

func newClaimed() *claimed {
	return &claimed{
		names: map[string]string{}, prefixes: map[string]*Member{}, issuers: map[string]string{}, identity: map[string]string{},
		workloads: map[string]string{}, clients: map[string]string{}, accounts: map[string]string{},
		services: map[string]string{}, acting: map[string]string{}, logins: map[string]string{},
	}
}

// once notes that a member has a thing, and returns who else has.
func once(table map[string]string, thing, name string) (other string, taken bool) {
	if other, taken = table[thing]; !taken {
		table[thing] = name
	}
	return other, taken
}

func (c *claimed) name(m *Member) error {
	if _, taken := once(c.names, m.Name, m.Name); taken {
		return fmt.Errorf("authenticator %q is configured twice", m.Name)
	}
	return nil
}

// prefix keeps the names of users apart. Beside a prefix there may be none,
// since [Chain] then refuses the names that begin with it; a prefix within
// another one would leave nobody to say whose a name is.
func (c *claimed) prefix(m *Member) error {
	if !m.People {
		return nil
	}
	other, taken := c.prefixes[m.Prefix]
	switch {
	case taken && m.NameFrom.same(other.NameFrom):
	case taken && m.Prefix == "":
		return fmt.Errorf("%s and %s would both call their users by plain names: give one of them a `prefix`, or a user of the one could take a name of the other", other.Name, m.Name)
	case taken:
		return fmt.Errorf("%s and %s have the same prefix %q: a user of the one could take a name of the other", other.Name, m.Name, m.Prefix)
	}
	for _, prefix := range slices.Sorted(maps.Keys(c.prefixes)) {
		if prefix == m.Prefix || prefix == "" || m.Prefix == "" {
			continue
		}
		if strings.HasPrefix(prefix, m.Prefix) || strings.HasPrefix(m.Prefix, prefix) {
			return fmt.Errorf("the prefix %q of %s and %q of %s begin alike: a name of the one could be one of the other, so give them prefixes of which none begins with the other", prefix, c.prefixes[prefix].Name, m.Prefix, m.Name)
		}
	}
	if !taken || other.NameFrom.Claim == "" {
		c.prefixes[m.Prefix] = m
	}
	return nil
}

// issuer sends a token to one member.
func (c *claimed) issuer(m *Member) error {
	for _, issuer := range m.Issuers {
		if other, taken := once(c.issuers, issuer, m.Name); taken {
			return fmt.Errorf("%s and %s are for tokens of the same issuer, and each would refuse those of the other: keep one of them", other, m.Name)
		}
	}
	return nil
}

// users keeps the users of a provider from being those of another that it
// claims to have followed.
func (c *claimed) users(m *Member) error {
	if m.Identity == "" {
		return nil
	}
	if other, taken := once(c.identity, m.Identity, m.Name); taken {
		return fmt.Errorf("%s and %s have users of the same issuer %s: a subject_alias is for a provider that is gone", other, m.Name, m.Identity)
	}
	return nil
}

// workload keeps the names of workloads apart.
func (c *claimed) workload(m *Member) error {
	for _, workload := range m.Workloads {
		if other, taken := once(c.workloads, workload, m.Name); taken {
			return fmt.Errorf("%s and %s both have a workload %q: rules could not tell them apart", other, m.Name, workload)
		}
	}
	return nil
}

// robot keeps the names of robots and of companion services apart. A workload
// may act as a robot that is declared.
func (c *claimed) robot(m *Member) error {
	for _, service := range m.Services {
		c.services[service] = m.Name
	}
	for _, robot := range m.ActsAs {
		c.acting[robot] = m.Name
	}
	for _, login := range m.Logins {
		c.logins[login] = m.Name
	}
	for _, robot := range slices.Concat(m.Robots, m.Services) {
		if other, taken := once(c.accounts, robot, m.Name); taken && other != m.Name {
			return fmt.Errorf("%s and %s both have a robot %q: rules could not tell them apart", other, m.Name, robot)
		}
	}
	return nil
}

// client keeps apart the names of workloads that nobody lists.
func (c *claimed) client(m *Member) error {
	if !m.Clients {
		return nil
	}
	if other, taken := once(c.clients, m.Prefix, m.Name); taken {
		return fmt.Errorf("%s and %s would both call their clients by plain names: give one of them a `prefix`", other, m.Name)
	}
	return nil
}

// clientsAgainstWorkloads keeps unlisted workloads from taking the names of
// listed ones.
func (c *claimed) clientsAgainstWorkloads() error {
	for _, prefix := range slices.Sorted(maps.Keys(c.clients)) {
		for _, workload := range slices.Sorted(maps.Keys(c.workloads)) {
			if strings.HasPrefix(workload, prefix) {
				return fmt.Errorf("a client of %s could take the name of workload %q of %s: give %[1]s a `prefix` of its own", c.clients[prefix], workload, c.workloads[workload])
			}
		}
	}
	return nil
}

// workloadsAgainstServices keeps workloads from acting as a companion service,
// which is accepted from some addresses only.
func (c *claimed) workloadsAgainstServices() error {
	for _, robot := range slices.Sorted(maps.Keys(c.acting)) {
		if service, taken := c.services[robot]; taken {
			return fmt.Errorf("a workload of %s acts as robot %q, which is a companion service of %s: rules could not tell them apart", c.acting[robot], robot, service)
		}
	}
	return nil
}

// usersAgainstRobots keeps users from having the login name of a robot: the robot
// would be asked first, and the user be refused for good. Services do not log in
// by name.
func (c *claimed) usersAgainstRobots() error {
	for _, login := range slices.Sorted(maps.Keys(c.logins)) {
		robots, taken := c.accounts[login]
		if _, service := c.services[login]; taken && !service {
			return fmt.Errorf("%s has a user %q, and %s has a robot of that name: both would log in as %[2]s", c.logins[login], login, robots)
		}
	}
	return nil
}
