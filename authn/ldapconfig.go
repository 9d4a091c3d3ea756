package authn

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// LDAPName is the name of the authenticator's kind.
const LDAPName = "ldap"

// LDAPConfig declares a directory that knows people's passwords.
type LDAPConfig struct {
	// The servers, `ldaps://host[:port]` or `ldap://host[:port]`. The next
	// one is asked when one cannot be reached.
	URLs []string `json:"urls"`

	// If true, connections to `ldap://` are encrypted before anything else
	// is said (RFC 4511 §4.14).
	StartTLS bool `json:"starttls,omitempty"`

	// If true, passwords go over the network to `ldap://` on another machine
	// for everybody to read. For tests.
	InsecurePlaintext bool `json:"insecure_plaintext,omitempty"`

	// The name under which somebody signs in to the directory, with `{user}`
	// in it: `uid={user},ou=people,dc=example,dc=com`, or
	// `{user}@corp.example.com` for Active Directory. Without it the entry
	// is searched first.
	BindAs string `json:"bind_as,omitempty"`

	// Below which entry people are searched.
	SearchBase string `json:"search_base,omitempty"`

	// The filter that finds somebody, with `{user}` in it. Default:
	// `(uid={user})`.
	SearchFilter string `json:"search_filter,omitempty"`

	// The account that searches. Default: the search is anonymous or, with
	// `bind_as`, done by who signs in.
	ServiceDN string `json:"service_dn,omitempty"`

	// Its password. Use a placeholder.
	ServicePassword string `json:"service_password,omitempty"`

	// The attribute with the user name. Default: `uid`.
	Username string `json:"username,omitempty"`

	// The attribute with the email address, the claim `email`. Default:
	// `mail`.
	Email string `json:"email,omitempty"`

	// The attribute with the full name, the claim `name`. Default:
	// `displayName`.
	DisplayName string `json:"display_name,omitempty"`

	// Further attributes that become claims of the same name.
	Attributes []string `json:"attributes,omitempty"`

	// The attribute of a person's entry that holds the names of the groups'
	// entries, such as `memberOf`. Default: none.
	MemberOf string `json:"member_of,omitempty"`

	// Below which entry groups are searched. With `member_of`: only groups
	// below it count. Default: groups are not searched, and all count.
	GroupBase string `json:"group_base,omitempty"`

	// The filter that finds the groups of somebody, with `{dn}` for the name
	// of the entry or `{user}` for the user name in it. Default:
	// `(|(member={dn})(uniqueMember={dn})(memberUid={user}))`.
	GroupFilter string `json:"group_filter,omitempty"`

	// The attribute with the name of a group, or `dn`. Default: `cn`.
	GroupName string `json:"group_name,omitempty"`

	// Groups of groups: `recursive` looks for the groups of each group, at
	// most 8 levels; `in_chain` has Active Directory do it
	// (LDAP_MATCHING_RULE_IN_CHAIN). Default: only groups of the person.
	Nested string `json:"nested,omitempty"`

	// If given, only members of one of these groups are accepted.
	RequiredGroups []string `json:"required_groups,omitempty"`

	// Put before the names of people and groups.
	Prefix string `json:"prefix,omitempty"`

	RecheckConfig

	// How long a right password is remembered. Default: 5 minutes, at most
	// 24 hours.
	Cache Duration `json:"cache,omitempty"`

	// How long a wrong password is remembered. Default: 5 seconds, at most
	// 1 minute.
	CacheFailures Duration `json:"cache_failures,omitempty"`

	// How long the directory may take for one answer. Default: 5 seconds, at
	// most 1 minute.
	Timeout Duration `json:"timeout,omitempty"`

	// How many connections there may be. Default: 8, at most 1024.
	Connections int `json:"connections,omitempty"`
}

// The values of [LDAPConfig.Nested].
const (
	NestedRecursive = "recursive"
	NestedInChain   = "in_chain"
)

// Defaults of an [LDAPConfig].
const (
	defaultLDAPCache       = 5 * time.Minute
	defaultLDAPFailures    = 5 * time.Second
	defaultLDAPConnections = 8
	defaultSearchFilter    = "(uid={user})"
	defaultGroupFilter     = "(|(member={dn})(uniqueMember={dn})(memberUid={user}))"
	defaultNestedFilter    = "(|(member={dn})(uniqueMember={dn}))"
	inChainFilter          = "(member:1.2.840.113556.1.4.1941:={dn})"
)

// withDefaults fills in what is not given.
func (c LDAPConfig) withDefaults() LDAPConfig {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Username, "uid"}, {&c.Email, "mail"}, {&c.DisplayName, "displayName"}, {&c.GroupName, "cn"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.SearchBase != "" && c.SearchFilter == "" {
		c.SearchFilter = defaultSearchFilter
	}
	if c.searchesGroups() && c.GroupFilter == "" {
		switch c.Nested {
		case NestedInChain:
			c.GroupFilter = inChainFilter
		case NestedRecursive:
			c.GroupFilter = defaultNestedFilter
		default:
			c.GroupFilter = defaultGroupFilter
		}
	}
	if c.Connections == 0 {
		c.Connections = defaultLDAPConnections
	}
	return c
}

// IdentityIssuer is the issuer that the directory's people are known by, with
// the names of their entries for subjects. It does not change when another
// server comes first.
func (c LDAPConfig) IdentityIssuer() string {
	if c.Prefix == "" {
		return LDAPName
	}
	return LDAPName + ":" + c.Prefix
}

// searchesGroups reports whether groups are found by a search.
func (c LDAPConfig) searchesGroups() bool { return c.GroupBase != "" && c.MemberOf == "" }

// Validate returns what is wrong with the declaration, naming the field.
func (c LDAPConfig) Validate() error {
	if len(c.URLs) == 0 {
		return errors.New("ldap: no url is given")
	}
	c = c.withDefaults()
	for _, check := range []func() error{c.checkURLs, c.checkPeople, c.checkGroups, c.checkLimits} {
		if err := check(); err != nil {
			return fmt.Errorf("ldap %.200s: %w", c.URLs[0], err)
		}
	}
	return nil
}

func (c LDAPConfig) checkURLs() error {
	for _, raw := range c.URLs {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("%.200q: want ldaps://host[:port] or ldap://host[:port], nothing else", raw)
		case u.Scheme == "ldaps" && c.StartTLS:
			return fmt.Errorf("%s: starttls is for ldap://, this is encrypted already", raw)
		case u.Scheme == "ldaps", u.Scheme == "ldap" && (c.StartTLS || c.InsecurePlaintext || loopback.Is(u.Hostname())):
		case u.Scheme == "ldap":
			return fmt.Errorf("%s: passwords would go over the network unencrypted: write ldaps://, or starttls", raw)
		default:
			return fmt.Errorf("%.200q: want ldaps:// or ldap://", raw)
		}
	}
	return nil
}

func (c LDAPConfig) checkPeople() error {
	switch {
	case c.BindAs == "" && c.SearchBase == "":
		return errors.New("neither bind_as nor search is given")
	case c.BindAs != "" && !strings.Contains(c.BindAs, "{user}"):
		return fmt.Errorf("bind_as %.200q has no {user}", c.BindAs)
	case c.BindAs != "" && !isDNTemplate(c.BindAs) && c.SearchBase == "":
		return errors.New("bind_as is not the name of an entry, so search is needed to find it")
	case (c.ServiceDN == "") != (c.ServicePassword == ""):
		return errors.New("service_account needs a name and a password")
	}
	if isDNTemplate(c.BindAs) {
		if _, err := ldap.ParseDN(fillDN(c.BindAs, "user")); err != nil {
			return fmt.Errorf("bind_as %.200q is not the name of an entry: %w", c.BindAs, err)
		}
	}
	if c.SearchBase != "" {
		if err := checkBase("search", c.SearchBase); err != nil {
			return err
		}
		return checkFilter("search", c.SearchFilter, "{user}")
	}
	return nil
}

func (c LDAPConfig) checkGroups() error {
	if c.GroupBase != "" {
		if err := checkBase("group_search", c.GroupBase); err != nil {
			return err
		}
	}
	switch {
	case c.Nested != "" && c.Nested != NestedRecursive && c.Nested != NestedInChain:
		return fmt.Errorf("nested %.40q: want %s or %s", c.Nested, NestedRecursive, NestedInChain)
	case c.MemberOf != "" && c.GroupFilter != "":
		return errors.New("member_of and group_search are both given")
	case c.MemberOf == "" && c.GroupBase == "" && (c.Nested != "" || len(c.RequiredGroups) > 0 || c.GroupFilter != ""):
		return errors.New("nested and required_group need member_of or group_search")
	case c.Nested == NestedInChain && !c.searchesGroups():
		return errors.New("nested in_chain needs group_search")
	case c.Nested == NestedInChain && !strings.Contains(c.GroupFilter, ":1.2.840.113556.1.4.1941:="):
		return fmt.Errorf("nested in_chain: the filter has no %s", inChainFilter)
	case c.Nested == NestedRecursive && strings.Contains(c.GroupFilter, "{user}"):
		return errors.New("nested: a group has no {user}, write the filter with {dn}")
	case slices.Contains(c.RequiredGroups, "") || slices.Contains(c.Attributes, ""):
		return errors.New("a required_group or attribute is empty")
	case c.searchesGroups() && strings.Contains(c.GroupFilter, "{dn}"):
		return checkFilter("group_search", c.GroupFilter, "{dn}")
	case c.searchesGroups():
		return checkFilter("group_search", c.GroupFilter, "{user}")
	}
	return nil
}

func (c LDAPConfig) checkLimits() error {
	if c.Connections < 0 || c.Connections > 1024 {
		return fmt.Errorf("connections %d is not between 1 and 1024", c.Connections)
	}
	if err := checkSpan("cache", c.Cache, 24*time.Hour); err != nil {
		return err
	}
	if err := checkSpan("cache_failures", c.CacheFailures, time.Minute); err != nil {
		return err
	}
	if err := checkSpan("timeout", c.Timeout, time.Minute); err != nil {
		return err
	}
	return c.checkRechecks()
}

func checkBase(field, dn string) error {
	if _, err := ldap.ParseDN(dn); err != nil {
		return fmt.Errorf("%s: %.200q is not the name of an entry: %w", field, dn, err)
	}
	return nil
}

func checkFilter(field, filter, needs string) error {
	if !strings.Contains(filter, needs) {
		return fmt.Errorf("%s: filter %.200q has no %s", field, filter, needs)
	}
	if _, err := ldap.CompileFilter(fillFilter(filter, "cn=user", "user")); err != nil {
		return fmt.Errorf("%s: filter %.200q: %w", field, filter, err)
	}
	return nil
}
