package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// RegistryClaims are the claims of a registry token: those of the Docker token
// specification, and who it was issued to. Times are whole seconds and the
// audience is one string, because Distribution 2 takes nothing else.
type RegistryClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"` // for registries that verify themselves; see Principal
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`

	// AsOf is up to which change of the state the gateway knew what there is,
	// see [Principal.AsOf]; registries ignore it.
	AsOf    uint64 `json:"seq,omitempty"`
	History int64  `json:"hist,omitempty"`

	// Access is the upper bound of what the token is good for.
	Access []Limit `json:"access"`

	// Principal is our own claim; registries ignore it.
	Principal *RegistryPrincipal `json:"principal"`
}

// RegistryPrincipal is what a registry token says about its holder, so that a
// decision needs nothing but the token and the policy.
type RegistryPrincipal struct {
	Kind          Kind     `json:"kind"`
	Name          string   `json:"name,omitempty"`
	Issuer        string   `json:"iss,omitempty"`
	Subject       string   `json:"sub,omitempty"`
	Authenticator string   `json:"by,omitempty"`
	Credential    string   `json:"with,omitempty"`
	CredentialID  string   `json:"id,omitempty"`
	Terms         string   `json:"terms,omitempty"`
	Groups        []string `json:"groups,omitempty"`
	Roles         []string `json:"roles,omitempty"`
	GroupsUnread  bool     `json:"groups_unread,omitempty"`
	RolesUnread   bool     `json:"roles_unread,omitempty"`
	Kept          string   `json:"kept,omitempty"`
	// Claims are those that rules look at. None at all is not the same as none
	// of these: see [Principal.Claims].
	Claims map[string]any `json:"claims,omitzero"`
	// Limits are those of the credential. None at all is not the same as an
	// empty list, which allows nothing.
	Limits []Limit `json:"limits,omitzero"`
}

// RegistrySubject is what a registry that verifies a token itself calls its
// holder: a user by name, all others with their kind. No user has a name with a
// colon, see [CheckName].
func RegistrySubject(p *Principal) string {
	switch {
	case p.IsAnonymous():
		return ""
	case p.Kind == KindUser:
		return p.Name
	}
	return p.String()
}

// NewRegistryPrincipal returns the claim for a principal.
func NewRegistryPrincipal(p *Principal) *RegistryPrincipal {
	if p.IsAnonymous() {
		return &RegistryPrincipal{Kind: KindAnonymous}
	}
	return &RegistryPrincipal{
		Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, Subject: p.Subject,
		Authenticator: p.Authenticator, Credential: p.Credential, CredentialID: p.CredentialID, Terms: p.Terms,
		Groups: p.Groups, Roles: p.Roles, GroupsUnread: p.GroupsUnread, RolesUnread: p.RolesUnread, Kept: p.Kept, Claims: p.Claims, Limits: p.Limits,
	}
}

// principal returns who the token speaks of, with its access as the limit.
func (c *RegistryClaims) principal() *Principal {
	p := c.Principal
	if p.Kind == KindAnonymous {
		// Nobody else vouches for it.
		p.Authenticator = CredentialRegistryToken
	}
	return &Principal{
		Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, Subject: p.Subject,
		Groups: p.Groups, Roles: p.Roles, GroupsUnread: p.GroupsUnread, RolesUnread: p.RolesUnread, Kept: p.Kept, Claims: p.Claims,
		Authenticator: p.Authenticator, Origin: p.Credential, OriginID: p.CredentialID, OriginLimits: p.Limits, Terms: p.Terms,
		Credential: CredentialRegistryToken, CredentialID: c.ID,
		Issued: time.Unix(c.IssuedAt, 0), AsOf: c.AsOf, History: c.History, Expires: time.Unix(c.ExpiresAt, 0),
		Limits: c.Access,
	}
}

// validate checks the form of claims; whether they hold is another question.
func (c *RegistryClaims) validate() error {
	switch {
	case c.ExpiresAt <= 0:
		return errors.New("exp is missing")
	case c.NotBefore <= 0:
		return errors.New("nbf is missing")
	case c.IssuedAt <= 0:
		return errors.New("iat is missing")
	case c.ID == "":
		return errors.New("jti is missing")
	case c.Access == nil:
		return errors.New("access is missing")
	case c.Principal == nil:
		return errors.New("principal is missing")
	}
	switch p := c.Principal; {
	case p.Kind == KindAnonymous && p.Name == "":
	case p.Kind == KindUser, p.Kind == KindRobot, p.Kind == KindWorkload:
		if err := CheckName(p.Kind, p.Name); err != nil {
			return fmt.Errorf("principal: %w", err)
		}
	default:
		return errors.New("principal is of no known kind or has a name")
	}
	if c.Subject != RegistrySubject(&Principal{Kind: c.Principal.Kind, Name: c.Principal.Name}) {
		return errors.New("sub and principal speak of different holders")
	}
	for i := range c.Access {
		if err := validateAccess(&c.Access[i]); err != nil {
			return fmt.Errorf("access[%d]: %w", i, err)
		}
	}
	return nil
}

// validateAccess refuses all that a policy could take for more than one name.
func validateAccess(a *Limit) error {
	switch a.Type {
	case "repository":
		if !plainName(a.Name) {
			return errors.New("name is not that of a repository")
		}
	case "registry":
		if a.Name != "catalog" {
			return errors.New("name is not catalog")
		}
	default:
		return errors.New("type is unknown")
	}
	for _, action := range a.Actions {
		switch action {
		case "pull", "push", "delete":
		case "*":
			if a.Type != "registry" {
				return errors.New("an action is a wildcard")
			}
		default:
			return errors.New("an action is unknown")
		}
	}
	return nil
}

// plainName reports whether s is made of what repository names are made of
// and can't be read as a pattern. Requests are held to the full grammar.
func plainName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	separator := true // at the start, and after each '/', a name must begin
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			separator = false
		case c == '.' || c == '_' || c == '-' || c == '/':
			if separator && c == '/' || separator && i == 0 {
				return false
			}
			separator = c == '/'
		default:
			return false
		}
	}
	return !separator
}

// Why a registry token is refused.
var (
	errTokenHeader    = errors.New("header is not one of ours")
	errTokenKey       = errors.New("signed with a key that is unknown or retired")
	errTokenAlgorithm = errors.New("algorithm is not that of the key")
	errTokenSignature = errors.New("signature does not verify")
	errTokenClaims    = errors.New("claims are malformed")
	errTokenIssuer    = errors.New("of another issuer")
	errTokenAudience  = errors.New("for another service")
	errTokenNotYet    = errors.New("not valid yet, or issued in the future")
)

// registryJWS is a token in the compact serialization (RFC 7515 §7.1), taken
// apart.
type registryJWS struct {
	signed    string // what the signature is over
	header    string
	claims    string
	payload   []byte // claims, decoded
	signature string
}

// splitRegistryJWS takes a token apart.
func splitRegistryJWS(token string) (jws registryJWS, ok bool) {
	if strings.Count(token, ".") != 2 {
		return jws, false
	}
	end := strings.LastIndexByte(token, '.')
	jws.signed, jws.signature = token[:end], token[end+1:]
	jws.header, jws.claims, _ = strings.Cut(jws.signed, ".")
	var err error
	jws.payload, err = decodeSegment(jws.claims)
	return jws, err == nil
}

// verify checks the signature. Decoding is strict: no two tokens differ and
// verify alike.
func (jws *registryJWS) verify(key *VerificationKey) error {
	signature, err := decodeSegment(jws.signature)
	if err != nil || key.Method.Verify(jws.signed, signature, key.Public) != nil {
		return errTokenSignature
	}
	return nil
}

// issued reports whether the payload names us as its issuer. Tokens of others
// come by with every request: those that do not contain our name as everybody
// writes it are not parsed.
func (t *RegistryToken) issued(payload []byte) bool {
	if !bytes.Contains(payload, t.issuerJSON) {
		return false
	}
	var peek struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &peek) == nil && peek.Issuer == t.cfg.Issuer
}

// keyNamed reads the header and returns the algorithm and the key id. It takes
// the members that we write and no others, which refuses "crit", "b64", "jku",
// "jwk", "x5u", "zip" and "enc". The certificate in "x5c" is for registries
// that verify themselves; the key is never taken from the token.
func (jws *registryJWS) keyNamed() (algorithm, id string, err error) {
	header, err := decodeObject(jws.header)
	if err != nil {
		return "", "", errTokenHeader
	}
	for name := range header {
		switch name {
		case "alg", "kid", "typ", "x5c":
		default:
			return "", "", errTokenHeader
		}
	}
	algorithm, _ = header["alg"].(string)
	id, _ = header["kid"].(string)
	if algorithm == "" || id == "" || header["typ"] != "JWT" {
		return "", "", errTokenHeader
	}
	return algorithm, id, nil
}

// registryClaims reads claims whose signature has been verified.
func (jws *registryJWS) registryClaims() (*RegistryClaims, error) {
	members, err := decodeObject(jws.claims) // refuses names that come twice
	if err != nil {
		return nil, errTokenClaims
	}
	for name := range members {
		if name != strings.ToLower(name) {
			return nil, errTokenClaims // the decoder below does not mind the case
		}
	}
	c := new(RegistryClaims)
	if err := json.Unmarshal(jws.payload, c); err != nil {
		return nil, errTokenClaims
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errTokenClaims, err)
	}
	return c, nil
}

// quoteJSON returns s as a JSON string, as most encoders write it.
func quoteJSON(s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	return bytes.TrimSpace(out.Bytes())
}
