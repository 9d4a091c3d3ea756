package authn

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
