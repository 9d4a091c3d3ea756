package authn

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// isDNTemplate reports whether a template makes the name of an entry (RFC
// 4514), and not another name that a directory accepts for signing in, such as
// Active Directory's user@domain.
func isDNTemplate(template string) bool { return strings.Contains(template, "=") }

// fillDN puts a user name into a template for signing in. Characters that
// mean something in the name of an entry are escaped.
func fillDN(template, user string) string {
	if isDNTemplate(template) {
		user = ldap.EscapeDN(user)
	}
	return strings.ReplaceAll(template, "{user}", user)
}

// plainLogin reports whether a user name can stand in a name that is not an
// entry's, where nothing can be escaped.
func plainLogin(user string) bool {
	for _, r := range user {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80
		if !letter && !strings.ContainsRune("._-", r) {
			return false
		}
	}
	return user != ""
}

// fillFilter puts the name of an entry and a user name into a filter. All that
// means something in filters is escaped (RFC 4515 §3). One pass: what looks
// like a placeholder in a name stays what it is.
func fillFilter(filter, dn, user string) string {
	return strings.NewReplacer("{dn}", ldap.EscapeFilter(dn), "{user}", ldap.EscapeFilter(user)).Replace(filter)
}
