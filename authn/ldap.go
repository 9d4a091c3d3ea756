package authn

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// LDAP authenticates people by the passwords that a directory knows: it signs
// in there in their name. It is safe for concurrent use.
type LDAP struct {
	config    LDAPConfig
	directory directory
	outcomes  *outcomes
	unread    *unreadNotice
	failed    failedBindBudget
	nobody    string // an entry that does not exist
	log       *zap.Logger
	now       func() time.Time
	cache     time.Duration
}

// directory hands out LDAP connections.
type directory interface {
	// with calls do with a session, which do must not keep. It may call it a
	// second time if the first session turns out to be dead.
	with(ctx context.Context, do func(ldapSession) error) error
	// close ends idle sessions, and later ones when they become idle.
	close()
}

// ldapSession is what is needed of an [ldap.Conn].
type ldapSession interface {
	SimpleBind(r *ldap.SimpleBindRequest) (*ldap.SimpleBindResult, error)
	Search(r *ldap.SearchRequest) (*ldap.SearchResult, error)
}

// CredentialLDAPPassword is the [Principal.Credential] of these people.
const CredentialLDAPPassword = "ldap_password"

// LDAPOptions are what an [LDAP] needs of the program that it runs in. The
// zero value is of use.
type LDAPOptions struct {
	// Roots are the certificate authorities to trust. Nil: the system's.
	Roots *x509.CertPool
	// Now is the clock. Nil: the real one.
	Now func() time.Time
	// Logger gets a line when the directory cannot be reached. Nil: none.
	Logger *zap.Logger
}

// NewLDAP makes the authenticator of a directory. It does not touch the
// network.
func NewLDAP(c LDAPConfig, o LDAPOptions) (*LDAP, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	timeout := c.Timeout.OrDefault(providerTimeout)
	return &LDAP{
		config: c, directory: newLDAPConnections(c, timeout, o), log: o.Logger, now: o.Now,
		failed: newFailedBindBudget(), unread: newUnreadNotice(o.Logger.With(zap.String("directory", c.URLs[0]))),
		nobody: "cn=" + rand.Text() + "," + c.SearchBase, cache: c.Cache.OrDefault(defaultLDAPCache),
		outcomes: newOutcomes(c.Connections, 3*timeout, c.CacheFailures.OrDefault(defaultLDAPFailures), o.Now),
	}, nil
}

// Name is how a realm calls this authenticator: its kind and first server.
func (a *LDAP) Name() string { return LDAPName + ":" + a.config.URLs[0] }

// Close ends the connections that nobody uses. Sign-ins after it go on, each
// with a connection of its own.
func (a *LDAP) Close() { a.directory.close() }

// Authenticate implements [Authenticator]. It owns the passwords, by Basic, of
// those whom the directory knows, if they have not the shape of a token, of a
// secret of ours, or a login name of robots. While the directory is away the
// answer is [ErrUnavailable].
func (a *LDAP) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !isPassword(c) || a.config.BindAs != "" && !isDNTemplate(a.config.BindAs) && !plainLogin(c.Username) {
		return nil, ErrNotMine
	}
	return a.outcomes.ask(ctx, c, func(ctx context.Context) (p *Principal, until time.Time, err error) {
		err = a.directory.with(ctx, func(s ldapSession) (err error) {
			p, err = a.signIn(s, c)
			return err
		})
		if errors.Is(err, ErrUnavailable) {
			a.log.Warn("directory cannot be asked", zap.String("directory", a.config.URLs[0]), zap.Error(err))
		}
		return p, a.now().Add(a.cache), err
	})
}

// signIn signs somebody in, and reads who it is.
func (a *LDAP) signIn(s ldapSession, c *Credential) (*Principal, error) {
	user, password := c.Username, c.Secret
	var entry *ldap.Entry
	var err error
	dn := fillDN(a.config.BindAs, user)
	if a.config.BindAs == "" {
		if err = a.bindService(s); err != nil {
			return nil, err
		}
		switch entry, err = a.find(s, user); {
		case errors.Is(err, errNoEntry):
			// As many questions as for a wrong password.
			if away := judgeBind(bindAs(s, a.nobody, password)); errors.Is(away, ErrUnavailable) {
				return nil, away
			}
			return nil, err
		case err != nil:
			return nil, err
		}
		dn = entry.DN
	}
	if err = a.failed.ask(dn, password, a.now, func() (failed bool, err error) {
		err = judgeBind(bindAs(s, dn, password))
		return err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotMine), err
	}); err != nil {
		return nil, err
	}
	if a.config.ServiceDN != "" {
		if err = a.bindService(s); err != nil {
			return nil, err
		}
	}
	if entry == nil {
		if entry, err = a.own(s, dn, user); err != nil {
			return nil, err
		}
	}
	return a.principal(s, entry, user)
}

// bindAs signs in. It never does with an empty name or password, which
// directories take for an anonymous sign-in and call good (RFC 4513 §5.1.2).
func bindAs(s ldapSession, dn, password string) (*ldap.SimpleBindResult, error) {
	if dn == "" || password == "" {
		return nil, errors.New("empty name or password")
	}
	return s.SimpleBind(ldap.NewSimpleBindRequest(dn, password, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
}

// bindService makes the session that of the service account, or nobody's: it
// was somebody's before.
func (a *LDAP) bindService(s ldapSession) error {
	r := ldap.NewSimpleBindRequest(a.config.ServiceDN, a.config.ServicePassword, nil)
	r.AllowEmptyPassword = a.config.ServiceDN == ""
	if _, err := s.SimpleBind(r); err != nil {
		return fmt.Errorf("service account: %w", directoryAway(err))
	}
	return nil
}

// principal makes who an entry describes. The name is the entry's: directories
// find it by others, in another case for example.
func (a *LDAP) principal(s ldapSession, entry *ldap.Entry, login string) (*Principal, error) {
	name, err := a.userName(entry, login)
	if err != nil {
		return nil, err
	}
	claims := map[string]any{"dn": entry.DN}
	for claim, attribute := range map[string]string{"email": a.config.Email, "name": a.config.DisplayName} {
		if v := entry.GetEqualFoldAttributeValue(attribute); v != "" {
			claims[claim] = v
		}
	}
	for _, attribute := range a.config.Attributes {
		if v := claimOf(entry.GetEqualFoldAttributeValues(attribute)); v != nil {
			claims[attribute] = v
		}
	}
	p := &Principal{
		Kind: KindUser, Name: a.config.Prefix + name, Issuer: a.config.IdentityIssuer(), Subject: entrySubject(entry), Claims: claims,
		Authenticator: a.Name(), Credential: CredentialLDAPPassword,
	}
	if p.Subject != entry.DN {
		p.FormerSubject, p.Since = entry.DN, entryCreated(entry)
	}
	if err := CheckName(KindUser, p.Name); err != nil {
		return nil, fmt.Errorf("%w: attribute %s: %w", ErrInvalid, a.config.Username, err)
	}
	groups, whole, err := a.groups(s, entry, name)
	if err != nil {
		return nil, err
	}
	if required := a.config.RequiredGroups; len(required) > 0 && !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(required, g) }) {
		return nil, fmt.Errorf("%w: user %s is in none of the required groups", ErrDisabled, name)
	}
	p.GroupsUnread = !whole
	for _, g := range groups {
		p.Groups = append(p.Groups, a.config.Prefix+g)
	}
	return p, nil
}

// userName returns the user name of an entry. Of several it is the one that
// somebody signs in with.
func (a *LDAP) userName(entry *ldap.Entry, login string) (string, error) {
	names := entry.GetEqualFoldAttributeValues(a.config.Username)
	if len(names) == 1 {
		return names[0], nil
	}
	for _, name := range names {
		if strings.EqualFold(name, login) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: entry %.200q has %d values of %s", ErrInvalid, entry.DN, len(names), a.config.Username)
}

// claimOf is one value as it is, and several as a list.
func claimOf(values []string) any {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

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

// errNoEntry says that a directory does not know somebody.
var errNoEntry = fmt.Errorf("%w: not in the directory", ErrNotMine)

// activeDirectoryCode is in the diagnostic message of a refused bind.
var activeDirectoryCode = regexp.MustCompile(`\bdata ([0-9a-fA-F]+)\b`)

// judgeBind says what the answer to somebody's bind means. The diagnostic
// message is not repeated, except for codes: some servers write the name.
func judgeBind(result *ldap.SimpleBindResult, err error) error {
	var answer *ldap.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork:
		return directoryAway(err)
	}
	switch answer.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		if reason := passwordPolicy(result); reason != nil {
			return reason
		}
		return activeDirectory(answer)
	case ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax:
		return errNoEntry
	case ldap.LDAPResultInappropriateAuthentication:
		return fmt.Errorf("%w: the entry has no password", ErrInvalid)
	case ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInsufficientAccessRights:
		return fmt.Errorf("%w: the directory refuses the account: %s", ErrDisabled, ldap.LDAPResultCodeMap[answer.ResultCode])
	}
	return directoryAway(err)
}

// passwordPolicy reads the control of draft-behera-ldap-password-policy.
func passwordPolicy(result *ldap.SimpleBindResult) error {
	if result == nil {
		return nil
	}
	policy, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if !ok {
		return nil
	}
	switch policy.Error {
	case ldap.BeheraPasswordExpired, ldap.BeheraChangeAfterReset:
		return fmt.Errorf("%w: %s", ErrExpired, policy.ErrorString)
	case ldap.BeheraAccountLocked:
		return fmt.Errorf("%w: %s", ErrDisabled, policy.ErrorString)
	}
	return nil
}

// activeDirectory reads the code that Active Directory writes into the message
// of a refused bind (the Win32 error, in hexadecimal digits).
func activeDirectory(answer *ldap.Error) error {
	code := ""
	if answer.Err != nil {
		if found := activeDirectoryCode.FindStringSubmatch(answer.Err.Error()); found != nil {
			code = found[1]
		}
	}
	switch code {
	case "525":
		return errNoEntry
	case "530", "531":
		return fmt.Errorf("%w: the directory does not let the account sign in now or from here (%s)", ErrDisabled, code)
	case "532", "773":
		return fmt.Errorf("%w: the password has expired or must be changed (%s)", ErrExpired, code)
	case "533":
		return fmt.Errorf("%w: the account is disabled (%s)", ErrDisabled, code)
	case "701":
		return fmt.Errorf("%w: the account has expired (%s)", ErrDisabled, code)
	case "775":
		return fmt.Errorf("%w: the account is locked (%s)", ErrDisabled, code)
	}
	return fmt.Errorf("%w: the directory refuses the password", ErrInvalid)
}

// errBroken says that a connection is of no use any more.
var errBroken = errors.New("connection to the directory broke")

// directoryAway wraps errors that are not the fault of the person signing in.
func directoryAway(err error) error {
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, errBroken, shortened(err))
	}
	return fmt.Errorf("%w: directory: %w", ErrUnavailable, shortened(err))
}
