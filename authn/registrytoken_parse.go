package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

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
