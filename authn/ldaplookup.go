package authn

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// LooksUp reports whether people can be looked up without their passwords:
// with a service account, or where the search is anonymous anyway.
func (a *LDAP) LooksUp() bool { return a.config.ServiceDN != "" || a.config.BindAs == "" }

// Facts implements [Described].
func (a *LDAP) Facts() Facts {
	return Facts{Name: a.Name(), Prefix: a.config.Prefix, People: true, Passwords: true, Identity: a.config.IdentityIssuer()}
}

// Config returns what the directory was declared with.
func (a *LDAP) Config() LDAPConfig { return a.config }

// Lookup returns how the directory describes somebody now who signed in
// earlier. [ErrGone]: there is no such entry any more. [ErrDisabled]: it is
// there and may not sign in: the search for people leaves it out, the account
// is disabled, or in none of the required groups. [ErrUnavailable]: the
// directory has not said anything about them.
func (a *LDAP) Lookup(ctx context.Context, known *Principal) (p *Principal, err error) {
	name, ok := strings.CutPrefix(known.Name, a.config.Prefix)
	if !ok || known.Issuer != a.config.IdentityIssuer() || !a.LooksUp() {
		return nil, fmt.Errorf("%w: %s is not of this directory", ErrUnavailable, known)
	}
	err = a.directory.with(ctx, func(s ldapSession) (err error) {
		p, err = a.lookUp(s, known.Subject, name)
		return err
	})
	switch {
	case errors.Is(err, ErrUnavailable):
		a.log.Debug("directory cannot be asked about somebody", zap.String("directory", a.config.URLs[0]), zap.Error(err))
	case errors.Is(err, ErrInvalid): // what is wrong with the entry would be wrong with a sign-in
		err = fmt.Errorf("%w: %s", ErrDisabled, err.Error())
	}
	return p, err
}

func (a *LDAP) lookUp(s ldapSession, subject, name string) (*Principal, error) {
	if err := a.bindService(s); err != nil {
		return nil, err
	}
	place := a.placeOf(subject, name)
	entry, err := a.read(s, place, a.config.peopleFilter())
	if err == nil && entry == nil {
		return nil, a.missing(s, place)
	}
	if err != nil {
		return nil, err
	}
	if err := accountDisabled(entry, a.now()); err != nil {
		return nil, err
	}
	return a.principal(s, entry, name)
}

// entryPlace is where somebody's entry is looked for.
type entryPlace struct {
	base   string
	scope  int
	filter string // of which entry it is; empty where that is base
	people string // below which entry people are
}

// placeOf returns where the entry of a subject is looked for. With the entry's
// own id it is found wherever it has been moved to.
func (a *LDAP) placeOf(subject, name string) entryPlace {
	filter, byID := byIdentity(subject)
	p := entryPlace{base: a.config.SearchBase, scope: ldap.ScopeWholeSubtree, filter: filter, people: a.config.SearchBase}
	switch {
	case !byID:
		p.base, p.scope = subject, ldap.ScopeBaseObject
	case p.base == "": // people are found by the name that they sign in with
		p.base, p.scope = fillDN(a.config.BindAs, name), ldap.ScopeBaseObject
	}
	if p.people == "" {
		_, p.people, _ = cutDN(p.base)
	}
	return p
}

const anything = "(objectClass=*)"

func (a *LDAP) read(s ldapSession, p entryPlace, filter string) (*ldap.Entry, error) {
	if p.filter != "" {
		filter = "(&" + p.filter + filter + ")"
	}
	entries, err := search(s, p.base, p.scope, 1, filter, append(a.attributes(), accountAttributes...))
	return first(entries), err
}

// missing says what it means that somebody is not found: nothing, if the
// service account does not see where the people were either.
func (a *LDAP) missing(s ldapSession, p entryPlace) error {
	switch there, err := a.read(s, p, anything); {
	case err != nil:
		return err
	case there != nil:
		return fmt.Errorf("%w: the search for people does not find the entry any more", ErrDisabled)
	}
	switch there, err := a.read(s, entryPlace{base: p.people, scope: ldap.ScopeBaseObject}, anything); {
	case err != nil:
		return err
	case there == nil:
		return fmt.Errorf("%w: the service account does not see %.200q", ErrUnavailable, p.people)
	}
	return ErrGone
}

// cutDN splits the name of an entry into its own part and its parent's name.
func cutDN(dn string) (own, parent string, err error) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) < 2 {
		return dn, "", err
	}
	up := ldap.DN{RDNs: parsed.RDNs[1:]}
	return parsed.RDNs[0].String(), up.String(), nil
}

// exactMatch finds extensible matches (RFC 4515 §3), in which `*` is a
// character like others.
var exactMatch = regexp.MustCompile(`:=[^)]*\{user\}`)

// peopleFilter is the filter that finds somebody, whoever it is. People may
// sign in with another name than the one that they are called by.
func (c LDAPConfig) peopleFilter() string {
	if c.SearchBase == "" || exactMatch.MatchString(c.SearchFilter) {
		return anything
	}
	return strings.ReplaceAll(c.SearchFilter, "{user}", "*")
}

// accountAttributes are those in which directories say that an account is
// disabled. Most have to be asked for by name.
var accountAttributes = []string{"userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime", "loginDisabled"}

// accountDisabled says whether an entry is of an account that may not sign in.
// An account that is locked for a while, for wrong passwords, is not disabled:
// whoever knows a user name can do that.
func accountDisabled(entry *ldap.Entry, now time.Time) error {
	value := entry.GetEqualFoldAttributeValue
	disabled := func(why string) error { return fmt.Errorf("%w: the account is disabled (%s)", ErrDisabled, why) }
	var flags, expires int64
	_, _ = fmt.Sscan(value("userAccountControl"), &flags)
	_, _ = fmt.Sscan(value("accountExpires"), &expires)
	const (
		accountDisable = 0x2                // Active Directory's ADS_UF_ACCOUNTDISABLE
		never          = 0x7FFFFFFFFFFFFFFF // of accountExpires, as is 0
		ticks          = int64(10_000_000)  // of a second
		since1601      = int64(11644473600) // seconds until 1970
		forGood        = "000001010000Z"    // of draft-behera-ldap-password-policy §5.3.3
	)
	switch {
	case flags&accountDisable != 0:
		return disabled("userAccountControl")
	case expires > 0 && expires < never && now.Unix() >= expires/ticks-since1601:
		return disabled("accountExpires")
	case strings.EqualFold(value("nsAccountLock"), "true"): // 389 Directory Server, FreeIPA
		return disabled("nsAccountLock")
	case strings.EqualFold(value("loginDisabled"), "true"): // eDirectory
		return disabled("loginDisabled")
	case value("pwdAccountLockedTime") == forGood:
		return disabled("pwdAccountLockedTime")
	}
	return nil
}

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
