package authn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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

// nameRule keeps the users, groups and roles of one authenticator from being
// taken for those of another: whoever may choose a name at a provider without
// a prefix could choose one that begins with the prefix of another provider.
type nameRule struct {
	members  map[string]*nameOwner // by the authenticator's name
	identity map[string]*nameOwner // by the issuer that users are known by
}

// nameOwner is an authenticator whose names must not begin with some prefixes.
type nameOwner struct {
	prefix  string
	foreign []string
}

func newNameRule(list []Member) nameRule {
	rule := nameRule{members: map[string]*nameOwner{}, identity: map[string]*nameOwner{}}
	for _, m := range list {
		if !m.stated && !m.People {
			continue
		}
		owner := &nameOwner{prefix: m.Prefix}
		for _, other := range list {
			if other.Prefix != m.Prefix && strings.HasPrefix(other.Prefix, m.Prefix) {
				owner.foreign = append(owner.foreign, other.Prefix)
			}
		}
		if owner.foreign == nil {
			continue
		}
		rule.members[m.Name] = owner
		if m.Identity != "" {
			rule.identity[m.Identity] = owner
		}
	}
	return rule
}

// check refuses a principal with a name of another authenticator. It looks at
// the authenticator that vouches for the principal, or else at the one that
// has users of the principal's issuer, as with sessions.
func (r nameRule) check(p *Principal) error {
	if len(r.members) == 0 {
		return nil
	}
	owner := r.members[p.Authenticator]
	if owner == nil {
		owner = r.identity[p.Issuer]
	}
	if owner == nil {
		return nil
	}
	if p.Kind == KindUser {
		if err := owner.refuse("name", p.Name); err != nil {
			return err
		}
	}
	if err := owner.refuse("group", p.Groups...); err != nil {
		return err
	}
	return owner.refuse("role", p.Roles...)
}

// checkRoles does that for roles that a [RoleSource] sees.
func (r nameRule) checkRoles(authenticator string, roles []string) error {
	if owner := r.members[authenticator]; owner != nil {
		return owner.refuse("role", roles...)
	}
	return nil
}

func (o *nameOwner) refuse(what string, names ...string) error {
	for _, name := range names {
		for _, prefix := range o.foreign {
			if strings.HasPrefix(name, prefix) {
				return fmt.Errorf("%w: the %s %.128q begins with %q, as those of another authenticator do", ErrInvalid, what, name, prefix)
			}
		}
	}
	return nil
}

// CheckNames refuses a principal whose name, groups or roles begin as those of
// another authenticator of the chain do. It is for principals that come into
// the realm by another way than [Chain.Authenticate], such as a sign-in.
func (ch *Chain) CheckNames(p *Principal) error { return ch.names.check(p) }

// CheckName returns an error unless a principal of this kind may be called so,
// whoever vouches for it. A [Chain] holds every authenticator to it. What names
// users cannot have keeps them apart from robots and workloads where names
// stand without their kind: in a registry token's subject, in the headers that
// the server behind gets, in a log line.
func CheckName(kind Kind, name string) error {
	switch kind {
	case KindUser:
		if name == "" {
			return errors.New("the name is empty")
		}
		return checkUserName(name)
	case KindRobot:
		return CheckRobotName(name)
	case KindWorkload, KindAnonymous:
	}
	return checkAnyName(name)
}

// checkUserName refuses names that would not survive a header, a log line, a
// Basic credential or a list, and those that look like a robot's. The empty
// name passes, for prefixes.
func checkUserName(name string) error {
	switch {
	case len(name) > maxUsername:
		return fmt.Errorf("longer than %d bytes", maxUsername)
	case strings.ContainsAny(name, `:"\,`) || strings.ContainsFunc(name, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}):
		return errors.New(`has white space, control characters, or one of : " \ ,`)
	case strings.HasPrefix(strings.ToLower(name), robotPrefix):
		return errors.New("belongs to robots")
	}
	return nil
}

// checkAnyName refuses names that no log line and no policy should have to
// carry.
func checkAnyName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxUsername:
		return fmt.Errorf("the name is longer than %d bytes", maxUsername)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name has control characters")
	}
	return nil
}
