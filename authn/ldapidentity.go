package authn

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// identityAttributes are those in which directories write who an entry is for
// good, whatever it is called: RFC 4530 (OpenLDAP and others), Active Directory,
// 389 Directory Server. The name of an entry may be somebody else's next year.
var identityAttributes = []string{"entryUUID", "objectGUID", "nsUniqueId"}

// creationAttributes are those that say since when there is an entry.
var creationAttributes = []string{"createTimestamp", "whenCreated"}

// entrySubject returns by which subject somebody is known: "entryUUID:…" where
// the directory has such an attribute and shows it, else the entry's name.
func entrySubject(entry *ldap.Entry) string {
	for _, attribute := range identityAttributes {
		raw := entry.GetEqualFoldRawAttributeValue(attribute)
		const longest = 128
		switch {
		case len(raw) == 0 || len(raw) > longest:
			continue
		case attribute == "objectGUID": // sixteen bytes
			return fmt.Sprintf("%s:%x", attribute, raw)
		}
		if text := strings.ToLower(string(raw)); isPlainText(text) {
			return attribute + ":" + text
		}
	}
	return entry.DN
}

// byIdentity returns the filter that finds the entry of a subject; false if the
// subject is an entry's name.
func byIdentity(subject string) (filter string, ok bool) {
	for _, attribute := range identityAttributes {
		value, ok := strings.CutPrefix(subject, attribute+":")
		if !ok {
			continue
		}
		if attribute != "objectGUID" {
			return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")", true
		}
		var b strings.Builder
		for i := 0; i+1 < len(value); i += 2 {
			b.WriteString(`\` + value[i:i+2])
		}
		return "(objectGUID=" + b.String() + ")", true
	}
	return "", false
}

// entryCreated returns since when there is an entry; zero if the directory does
// not say.
func entryCreated(entry *ldap.Entry) time.Time {
	for _, attribute := range creationAttributes {
		value := entry.GetEqualFoldAttributeValue(attribute)
		for _, layout := range []string{"20060102150405Z", "20060102150405.999999Z", "20060102150405Z0700"} { // RFC 4517 §3.3.13
			if t, err := time.Parse(layout, value); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// MayBeReused reports whether a subject of the directory may be that of
// somebody else later: the name of an entry may.
func (a *LDAP) MayBeReused(subject string) bool {
	_, stable := byIdentity(subject)
	return !stable
}
