package authn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

const (
	// maxGroups is how many groups somebody may be in.
	maxGroups = 1000
	// maxGroupDepth is how deep groups of groups are followed.
	maxGroupDepth = 8
)

// search asks a question, and takes references to other servers for nothing:
// a directory must not send us, and passwords, elsewhere.
func search(s ldapSession, base string, scope, limit int, filter string, attributes []string) ([]*ldap.Entry, error) {
	r, err := s.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit, 0, false, filter, attributes, nil))
	var answer *ldap.Error
	switch {
	case err == nil:
		return r.Entries, nil
	case errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultSizeLimitExceeded:
		return nil, errTooMany
	case errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultNoSuchObject:
		return nil, nil
	}
	return nil, directoryAway(err)
}

var errTooMany = errors.New("too many entries")

// attributes are those of a person's entry that are of interest.
func (a *LDAP) attributes() []string {
	c := a.config
	list := append([]string{c.Username, c.Email, c.DisplayName}, c.Attributes...)
	if c.MemberOf != "" {
		list = append(list, c.MemberOf)
	}
	return append(append(list, identityAttributes...), creationAttributes...)
}

// find returns the one entry of somebody who signs in, or errNoEntry.
func (a *LDAP) find(s ldapSession, user string) (*ldap.Entry, error) {
	entries, err := search(s, a.config.SearchBase, ldap.ScopeWholeSubtree, 2, fillFilter(a.config.SearchFilter, "", user), a.attributes())
	switch {
	case errors.Is(err, errTooMany) || len(entries) > 1:
		return nil, fmt.Errorf("%w: several entries of the directory match", ErrInvalid)
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, errNoEntry
	case entries[0].DN == "":
		return nil, fmt.Errorf("%w: the directory found an entry without a name", ErrUnavailable)
	}
	return entries[0], nil
}

// own returns the entry of somebody who has signed in as dn.
func (a *LDAP) own(s ldapSession, dn, user string) (*ldap.Entry, error) {
	if a.config.SearchBase != "" {
		entry, err := a.find(s, user)
		if errors.Is(err, errNoEntry) {
			return nil, fmt.Errorf("%w: the directory accepts the password and does not find the entry", ErrUnavailable)
		}
		if err == nil && isDNTemplate(a.config.BindAs) && !sameEntry(entry.DN, dn) {
			return nil, fmt.Errorf("%w: the directory finds the entry of somebody else", ErrInvalid)
		}
		return entry, err
	}
	entries, err := search(s, dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", a.attributes())
	if err != nil || len(entries) == 1 {
		return first(entries), err
	}
	return nil, fmt.Errorf("%w: the directory does not let people read their own entries", ErrUnavailable)
}

func first(entries []*ldap.Entry) *ldap.Entry {
	if len(entries) == 0 {
		return nil
	}
	return entries[0]
}

// sameEntry compares the names of entries.
func sameEntry(a, b string) bool {
	first, err := ldap.ParseDN(a)
	if err != nil {
		return false
	}
	second, err := ldap.ParseDN(b)
	return err == nil && first.EqualFold(second)
}

// groups returns the names of the groups that somebody is in, and whether these
// are all: not where no groups are configured, or where one has no name that
// can be read. Too many are an error.
func (a *LDAP) groups(s ldapSession, entry *ldap.Entry, user string) (names []string, whole bool, err error) {
	if a.config.MemberOf == "" && !a.config.searchesGroups() {
		return nil, false, nil
	}
	whole = true
	seen := map[string]bool{}
	level := []*ldap.Entry{entry}
	for depth := 0; len(level) > 0; depth++ {
		if depth == maxGroupDepth {
			return nil, false, fmt.Errorf("%w: groups are nested deeper than %d", ErrUnavailable, maxGroupDepth)
		}
		var next []*ldap.Entry
		for _, member := range level {
			groups, err := a.groupsOf(s, member, user)
			if errors.Is(err, errTooMany) {
				return nil, false, fmt.Errorf("%w: more than %d groups", ErrUnavailable, maxGroups)
			}
			if err != nil {
				return nil, false, err
			}
			for _, g := range groups {
				if seen[g.DN] {
					continue
				}
				seen[g.DN] = true
				next = append(next, g)
				name, counts := a.groupName(g)
				switch {
				case !counts:
				case name == "":
					whole = false
					a.unread.note(a.groupsAttribute(), formMixed)
				case !slices.Contains(names, name):
					names = append(names, name)
				}
			}
			if len(seen) > maxGroups {
				return nil, false, fmt.Errorf("%w: more than %d groups", ErrUnavailable, maxGroups)
			}
		}
		if a.config.Nested != NestedRecursive {
			break
		}
		level = next
	}
	return names, whole, nil
}

// groupsOf returns the groups that name an entry, or that it names.
func (a *LDAP) groupsOf(s ldapSession, member *ldap.Entry, user string) ([]*ldap.Entry, error) {
	c := a.config
	if c.MemberOf == "" {
		return search(s, c.GroupBase, ldap.ScopeWholeSubtree, maxGroups, fillFilter(c.GroupFilter, member.DN, user), []string{c.GroupName})
	}
	if member.Attributes == nil { // a group that was named, not read
		entries, err := search(s, member.DN, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{c.MemberOf})
		if err != nil || len(entries) == 0 {
			return nil, err
		}
		member = entries[0]
	}
	var groups []*ldap.Entry
	for _, dn := range member.GetEqualFoldAttributeValues(c.MemberOf) {
		groups = append(groups, &ldap.Entry{DN: dn})
	}
	return groups, nil
}

// groupsAttribute is where groups are looked for, for log lines.
func (a *LDAP) groupsAttribute() string {
	if a.config.MemberOf != "" {
		return a.config.MemberOf
	}
	return a.config.GroupName
}

// groupName returns what policies call a group, and whether it counts; empty if
// it counts and has no name that can be read.
func (a *LDAP) groupName(group *ldap.Entry) (name string, counts bool) {
	name = group.DN
	dn, err := ldap.ParseDN(group.DN)
	if err != nil || len(dn.RDNs) == 0 || len(name) > MaxCredential {
		return "", true
	}
	if a.config.MemberOf != "" && a.config.GroupBase != "" {
		if base, err := ldap.ParseDN(a.config.GroupBase); err != nil || !base.AncestorOfFold(dn) {
			return "", false
		}
	}
	if !strings.EqualFold(a.config.GroupName, "dn") {
		name = group.GetEqualFoldAttributeValue(a.config.GroupName)
		for _, part := range dn.RDNs[0].Attributes {
			if strings.EqualFold(part.Type, a.config.GroupName) {
				name = part.Value
			}
		}
	}
	if len(name) > maxUsername || strings.ContainsFunc(name, unprintable) {
		return "", true
	}
	return name, true
}
