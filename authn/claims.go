package authn

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"
)

// maxSubject is how long a subject may be, in bytes (OpenID Connect Core §2).
const maxSubject = 255

// ClaimsConfig says what the claims of a provider's tokens mean.
type ClaimsConfig struct {
	// The claim that holds the user name. Dots reach into nested claims.
	// Default: `preferred_username`. With `email`, a token that says
	// `email_verified: false` is refused.
	Username string `json:"username,omitempty"`

	// The claim that holds the groups, a string or a list of strings.
	// `groups[].name` takes them from the members of a list of objects.
	// Default: `groups`.
	Groups string `json:"groups,omitempty"`

	// How the groups stand in one text, if the provider writes them so:
	// `comma`, `semicolon`, `space` or `json`. Default: a text is one group.
	GroupsForm string `json:"groups_form,omitempty"`

	// The claim that holds the roles, in the same forms as the groups, for
	// example `realm_access.roles`. Default: none.
	Roles string `json:"roles,omitempty"`

	// How the roles stand in one text, as for groups.
	RolesForm string `json:"roles_form,omitempty"`

	// Put before the names of users, groups and roles of this provider, so
	// that those of several providers cannot be mistaken for each other.
	Prefix string `json:"prefix,omitempty"`

	// If given, only members of one of these groups (as the provider names
	// them) are accepted.
	RequiredGroups []string `json:"required_groups,omitempty"`

	// Claims without which a token is refused. The one with the groups or
	// roles must also be in a form that can be read to the end.
	RequiredClaims []string `json:"required_claims,omitempty"`
}

// check returns what is wrong with the settings, naming the field.
func (c *ClaimsConfig) check() error {
	for _, list := range []struct{ name, claim, form string }{{"groups", c.Groups, c.GroupsForm}, {"roles", c.Roles, c.RolesForm}} {
		if _, known := separators[list.form]; !known {
			return fmt.Errorf("%s: the form %.50q is not known: comma, semicolon, space or json", list.name, list.form)
		}
		if before, member, each := strings.Cut(list.claim, eachMember); each && (before == "" || member == "" || strings.Contains(member, "[]")) {
			return fmt.Errorf("%s: %.200q: want the claim with the list, [] and the name of a member, as in groups[].name", list.name, list.claim)
		}
	}
	if slices.Contains(c.RequiredGroups, "") || slices.Contains(c.RequiredClaims, "") {
		return errors.New("a required_group or require_claim is empty")
	}
	return nil
}

// eachMember stands in the path of a claim after a list of objects.
const eachMember = "[]."

// separators are the forms in which one text may hold several names. In JSON
// nothing separates them.
var separators = map[string]string{"": "", "comma": ",", "semicolon": ";", "space": " ", formOfJSON: ""}

const formOfJSON = "json"

// claimList is the claim with groups or roles, and how to read it.
type claimList struct {
	path   string // to the list
	member string // the member with the name, if it is a list of objects
	form   string
}

func newClaimList(path, form string) claimList {
	list := claimList{path: path, form: form}
	if before, member, each := strings.Cut(path, eachMember); each {
		list.path, list.member = before, member
	}
	return list
}

// claimRules are the compiled rules that the claims of an ID token must keep.
type claimRules struct {
	identity  string // the issuer that users are known by
	audiences []string
	parties   []string
	username  string
	groups    claimList
	roles     claimList
	prefix    string
	required  []string // groups, of which one is enough
	claims    []string // of which none may be missing
	maxAge    time.Duration
	skew      time.Duration
	unread    *unreadNotice
}

func newClaimRules(c OIDCConfig) claimRules {
	r := claimRules{
		identity: c.IdentityIssuer(), audiences: slices.Clone(c.Audiences),
		username: c.Username, groups: newClaimList(cmp.Or(c.Groups, defaultGroups), c.GroupsForm), roles: newClaimList(c.Roles, c.RolesForm),
		prefix: c.Prefix, required: c.RequiredGroups, claims: c.RequiredClaims,
		maxAge: time.Duration(c.MaxAge), skew: c.ClockSkew.OrDefault(defaultClockSkew),
	}
	if c.ClientID != "" {
		r.audiences = append(r.audiences, c.ClientID)
	}
	r.parties = slices.Concat(r.audiences, c.AuthorizedParties)
	if r.username == "" {
		r.username = defaultUsername
	}
	return r
}

// principal checks the claims of a token whose issuer is known to be ours
// (OpenID Connect Core §3.1.3.7) and returns who they describe.
func (r *claimRules) principal(claims map[string]any, now time.Time) (*Principal, error) {
	if _, logout := claims["events"]; logout {
		return nil, fmt.Errorf("%w: a logout token is no ID token", ErrInvalid)
	}
	if err := r.checkAudience(claims); err != nil {
		return nil, err
	}
	expires, err := r.checkTimes(claims, now)
	if err != nil {
		return nil, err
	}
	subject, _ := claims["sub"].(string)
	if subject == "" || len(subject) > maxSubject {
		return nil, fmt.Errorf("%w: sub is missing or longer than %d bytes", ErrInvalid, maxSubject)
	}
	name, err := r.name(claims)
	if err != nil {
		return nil, err
	}
	p := &Principal{
		Kind: KindUser, Name: name, Issuer: r.identity, Subject: subject, Claims: claims,
		Credential: "id_token", Expires: expires,
	}
	p.CredentialID, _ = claims["jti"].(string)
	if err := r.belong(p, claims); err != nil {
		return nil, err
	}
	return p, nil
}

// belong sets the groups and roles of a new principal, if the token has what
// it must have.
func (r *claimRules) belong(p *Principal, claims map[string]any) error {
	for _, claim := range r.claims {
		if v, present := LookupClaim(claims, claim); !present || v == nil {
			return fmt.Errorf("%w: the token does not have the claim %q, which require_claim asks for", ErrInvalid, claim)
		}
	}
	groups, groupsUnread, err := r.list(claims, r.groups)
	if err != nil {
		return err
	}
	if len(r.required) > 0 && !slices.ContainsFunc(r.required, func(g string) bool { return slices.Contains(groups, g) }) {
		return fmt.Errorf("%w: %s is in none of the required groups", ErrDisabled, p)
	}
	roles, rolesUnread, err := r.list(claims, r.roles)
	if err != nil {
		return err
	}
	p.Groups, p.Roles = r.prefixed(groups), r.prefixed(roles)
	p.GroupsUnread, p.RolesUnread = groupsUnread, rolesUnread
	return nil
}

// checkAudience sees that the token was issued for us, and for a client that
// may hold such tokens.
func (r *claimRules) checkAudience(claims map[string]any) error {
	var audiences []string
	switch aud := claims["aud"].(type) {
	case string:
		audiences = []string{aud}
	case []any:
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return fmt.Errorf("%w: aud is not a list of strings", ErrInvalid)
			}
			audiences = append(audiences, s)
		}
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(r.audiences, a) }) {
		return fmt.Errorf("%w: the token was issued for another audience", ErrInvalid)
	}
	azp, present := claims["azp"]
	if !present && len(audiences) > 1 {
		return fmt.Errorf("%w: several audiences and no azp", ErrInvalid)
	}
	if party, ok := azp.(string); present && (!ok || !slices.Contains(r.parties, party)) {
		return fmt.Errorf("%w: the token was issued to another client (azp)", ErrInvalid)
	}
	return nil
}

// checkTimes returns when the token expires.
func (r *claimRules) checkTimes(claims map[string]any, now time.Time) (time.Time, error) {
	expires, err := numericDate(claims, "exp")
	if err != nil {
		return time.Time{}, err
	}
	issued, err := numericDate(claims, "iat")
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case issued.After(now.Add(r.skew)):
		return time.Time{}, fmt.Errorf("%w: issued in the future (iat)", ErrInvalid)
	case !now.Before(expires.Add(r.skew)):
		return time.Time{}, fmt.Errorf("%w: at %s", ErrExpired, expires.UTC().Format(time.RFC3339))
	case r.maxAge > 0 && now.Sub(issued) > r.maxAge+r.skew:
		return time.Time{}, fmt.Errorf("%w: issued more than %s ago", ErrExpired, r.maxAge)
	}
	if _, present := claims["nbf"]; present {
		from, err := numericDate(claims, "nbf")
		if err != nil {
			return time.Time{}, err
		}
		if from.After(now.Add(r.skew)) {
			return time.Time{}, fmt.Errorf("%w: not valid yet (nbf)", ErrInvalid)
		}
	}
	return expires, nil
}

// numericDate reads a NumericDate of RFC 7519 §2.
func numericDate(claims map[string]any, name string) (time.Time, error) {
	seconds, ok := claims[name].(float64)
	if !ok || math.IsNaN(seconds) || seconds < 0 || seconds > 253402300799 { // year 9999
		return time.Time{}, fmt.Errorf("%w: %s is missing or not a time", ErrInvalid, name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// name returns the user name, with the prefix.
func (r *claimRules) name(claims map[string]any) (string, error) {
	v, _ := LookupClaim(claims, r.username)
	name, _ := v.(string)
	if name == "" {
		return "", fmt.Errorf("%w: user name claim %q is missing or not a string", ErrInvalid, r.username)
	}
	if r.username == "email" {
		if verified, present := claims["email_verified"]; present && verified != true && verified != "true" {
			return "", fmt.Errorf("%w: the provider has not verified the email address", ErrInvalid)
		}
	}
	name = r.prefix + name
	if err := CheckName(KindUser, name); err != nil {
		return "", fmt.Errorf("%w: user name claim %q: %w", ErrInvalid, r.username, err)
	}
	return name, nil
}

// list returns the names that the claim at path has, and whether that may not be
// all of them. A claim that is kept elsewhere is an error: without it the user
// would have other rights than he is due, and we fetch nothing from where a
// token says.
func (r *claimRules) list(claims map[string]any, in claimList) (names []string, unread bool, err error) {
	if in.path == "" {
		return nil, false, nil
	}
	if keptElsewhere(claims, in.path) {
		return nil, true, fmt.Errorf("%w: the provider leaves %q out of the token because there are too many: configure it to send only those that the registry needs", ErrInvalid, in.path)
	}
	v, present := LookupClaim(claims, in.path)
	names, form := in.read(v, present)
	r.unread.note(in.path, form)
	if form != "" && slices.Contains(r.claims, in.path) {
		return nil, true, fmt.Errorf("%w: the claim %q, which require_claim asks for, cannot be read: it is %s", ErrInvalid, in.path, form)
	}
	return slices.Clone(names), form != "", nil
}

func (r *claimRules) prefixed(names []string) []string {
	if r.prefix != "" {
		for i, name := range names {
			names[i] = r.prefix + name
		}
	}
	return names
}

// until returns when a token that was found good has to be refused.
func (r *claimRules) until(p *Principal, claims map[string]any) time.Time {
	until := p.Expires.Add(r.skew)
	if issued, err := numericDate(claims, "iat"); r.maxAge > 0 && err == nil {
		if oldest := issued.Add(r.maxAge + r.skew); oldest.Before(until) {
			return oldest
		}
	}
	return until
}

// The forms in which a list of groups or roles is none that can be relied on.
// Whoever has such a credential is in the groups that could be read, if any,
// and deny rules that name groups hold.
const (
	formMissing = "missing"
	formEmpty   = "null or an empty text"
	formText    = "a text with several names in it"
	formJSON    = "JSON written as a text"
	formMixed   = "a list with members that are no names"
	formObject  = "an object"
	formMembers = "a list in which a member does not have the name"
	formOther   = "neither a text nor a list of texts"
)

// read returns the names of a claim as readNames does, after taking apart what
// the configuration says may be taken apart.
func (l claimList) read(claim any, present bool) (names []string, form string) {
	if l.member != "" && present {
		return l.readObjects(claim)
	}
	if list, alone := claim.([]any); alone && len(list) == 1 && l.form != "" {
		claim = list[0] // a text of a provider that knows no lists, behind one that does
	}
	text, isText := claim.(string)
	if !isText || l.form == "" {
		return readNames(claim, present)
	}
	if l.form == formOfJSON {
		var list []any
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return readNames(claim, present)
		}
		return readMembers(list, true)
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") {
		return nil, formJSON
	}
	names = []string{}
	for name := range strings.SplitSeq(text, separators[l.form]) {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !isName(name) {
			form = formMixed
			continue
		}
		names = append(names, name)
	}
	return names, form
}

// readObjects returns the names that the members of a list of objects have.
func (l claimList) readObjects(claim any) (names []string, form string) {
	list, ok := claim.([]any)
	if !ok {
		return nil, formOther
	}
	members := make([]any, 0, len(list))
	for _, one := range list {
		object, _ := one.(map[string]any)
		if name, has := LookupClaim(object, l.member); has {
			members = append(members, name)
		} else {
			form = formMembers
		}
	}
	names, mixed := readMembers(members, true)
	return names, cmp.Or(form, mixed)
}

// readNames returns the names that a claim lists, and in which form it is if
// it cannot be read, not all of it, or not with certainty. A text alone is one
// name: providers write a list of one so. It is never taken apart, since
// whoever may name a group could name it `x,admins`. An object whose members are objects
// has its names for keys, as the roles of Zitadel have.
func readNames(claim any, present bool) (names []string, form string) {
	if !present {
		return nil, formMissing
	}
	switch v := claim.(type) {
	case nil:
		return nil, formEmpty
	case string:
		return readText(v)
	case []string:
		return v, ""
	case []any:
		return readMembers(v, false)
	case map[string]any:
		for name, member := range v {
			if _, nested := member.(map[string]any); !nested || !isName(name) {
				return nil, formObject
			}
			names = append(names, name)
		}
		if len(names) == 0 {
			return nil, formObject
		}
		slices.Sort(names)
		return names, ""
	}
	return nil, formOther
}

func readText(text string) (names []string, form string) {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		return nil, formEmpty
	case trimmed[0] == '[' || trimmed[0] == '{':
		return nil, formJSON
	case !isName(text):
		return nil, formMixed
	case several(text):
		return []string{text}, formText
	}
	return []string{text}, ""
}

// readMembers returns the names in a list. Where they are known to be names each
// for itself, a comma in the only one is a part of it.
func readMembers(list []any, apart bool) (names []string, form string) {
	names = make([]string, 0, len(list))
	for _, member := range list {
		name, ok := member.(string)
		switch {
		case !ok || !isName(name):
			form = formMixed
		case name[0] == '[' || name[0] == '{':
			form = formJSON
		case !apart && len(list) == 1 && several(name): // of a provider that knows no lists, behind one that does
			names, form = append(names, name), formText
		default:
			names = append(names, name)
		}
	}
	return names, form
}

// several reports whether a name may be a list of names. The name of an entry in
// a directory has commas too, and "=".
func several(name string) bool {
	return strings.ContainsAny(name, ",;") && !strings.Contains(name, "=")
}

// isName reports whether a group or role may be called so.
func isName(name string) bool {
	return name != "" && len(name) <= maxUsername && !strings.ContainsFunc(name, unicode.IsControl)
}

// keptElsewhere reports whether a token says that a claim is kept in another place
// (OpenID Connect Core §5.6.2), in any of the spellings of Microsoft Entra ID:
// `_claim_names`, also as a text, `hasgroups`, `groups:src1`, and the name of a
// source in the place of the groups.
func keptElsewhere(claims map[string]any, path string) bool {
	top, _, _ := strings.Cut(path, ".")
	switch names := claims[claimNamesKey].(type) {
	case nil:
	case map[string]any:
		for _, name := range []string{path, top} {
			if _, ok := names[name]; ok {
				return true
			}
		}
	case string:
		if strings.Contains(names, top) {
			return true
		}
	default:
		return true
	}
	if has := claims["has"+path]; has == true || has == "true" || has == float64(1) {
		return true
	}
	for name := range claims {
		if strings.HasPrefix(name, path+":src") {
			return true
		}
	}
	sources, _ := claims[claimSourceKey].(map[string]any)
	v, _ := LookupClaim(claims, path)
	source, _ := v.(string)
	_, named := sources[source]
	return source != "" && named
}

// unreadNotice says once for each claim and form that lists could not be read.
// The forms are few, and so is what it remembers. The
// nil pointer says nothing.
type unreadNotice struct {
	say  func(claim, form string)
	said sync.Map
}

func (n *unreadNotice) note(claim, form string) {
	if n == nil || form == "" {
		return
	}
	if _, before := n.said.LoadOrStore(claim+"\x00"+form, true); !before {
		n.say(claim, form)
	}
}

// newUnreadNotice makes one that warns in a log.
func newUnreadNotice(log *zap.Logger) *unreadNotice {
	if log == nil {
		return nil
	}
	return &unreadNotice{say: func(claim, form string) {
		if form == formMissing { // no fault where no rule looks at it
			log.Info("tokens do not have the claim with groups or roles: deny rules that name groups or roles hold for them", zap.String("claim", claim))
			return
		}
		log.Warn("groups or roles in a token cannot be read: they do not count, and deny rules that name groups or roles hold",
			zap.String("claim", claim), zap.String("form", form))
	}}
}
