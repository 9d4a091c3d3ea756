package authn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Why a registry token is refused.
var (
	errNotJWS     = errors.New("not a compact JWS")
	errHeader     = errors.New("header is not one of ours")
	errUnknownKey = errors.New("signed with an unknown key")
	errAlgorithm  = errors.New("algorithm is not that of the key")
	errSignature  = errors.New("signature does not verify")
	errClaims     = errors.New("claims are malformed")
	errIssuer     = errors.New("of another issuer")
	errAudience   = errors.New("for another service")
	errNotYet     = errors.New("not valid yet, or issued in the future")
)

// maxJSONDepth bounds the nesting of a token's claims.
const maxJSONDepth = 16

// jws is a token in the compact serialisation (RFC 7515 §7.1), decoded.
type jws struct {
	signed    string // what the signature is over
	header    []byte
	payload   []byte
	signature []byte
}

// splitJWS takes a token apart. Decoding is strict, so that no two tokens
// differ and verify alike: the decoder itself would skip line breaks.
func splitJWS(token string) (jws, error) {
	var out jws
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first <= 0 || last <= first+1 || last == len(token)-1 ||
		strings.ContainsAny(token, "\r\n") || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return out, errNotJWS
	}
	out.signed = token[:last]
	for _, part := range []struct {
		to   *[]byte
		text string
	}{{&out.header, token[:first]}, {&out.payload, token[first+1 : last]}, {&out.signature, token[last+1:]}} {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part.text)
		if err != nil {
			return out, errNotJWS
		}
		*part.to = decoded
	}
	return out, nil
}

// issued reports whether the payload names us as its issuer. Tokens of others
// come by with every request: those that don't contain the name at all, as
// everybody writes it, aren't parsed.
func (t *RegistryToken) issued(payload []byte) bool {
	if !bytes.Contains(payload, t.issuerJSON) {
		return false
	}
	var peek struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &peek) == nil && peek.Issuer == t.cfg.Issuer
}

type joseHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`

	// Certificate is for registries that verify themselves. The key is
	// never taken from the token.
	Certificate []string `json:"x5c"`
}

// parseJOSEHeader takes the members that we write and no others: "crit",
// "b64", "jku", "jwk", "x5u", "zip" and "enc" are all refused by that.
func parseJOSEHeader(data []byte) (joseHeader, error) {
	var h joseHeader
	if err := uniqueNames(data); err != nil {
		return h, errHeader
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&h) != nil || h.Type != "JWT" || h.KeyID == "" {
		return h, errHeader
	}
	return h, nil
}

// parseRegistryClaims reads claims whose signature has been verified.
func parseRegistryClaims(payload []byte) (*RegistryClaims, error) {
	if err := uniqueNames(payload); err != nil {
		return nil, errClaims
	}
	c := new(RegistryClaims)
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, errClaims
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errClaims, err)
	}
	return c, nil
}

// uniqueNames checks that data is one JSON object in UTF-8 in which no object
// has a name twice: two readers could take different ones (RFC 7519 §4). At the
// top, names that differ in case only count as the same, because the decoder
// takes them for the same.
func uniqueNames(data []byte) error {
	if !utf8.Valid(data) || !bytes.HasPrefix(data, []byte("{")) {
		return errClaims
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var open []*jsonScope
	for first := true; ; first = false {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil || !first && len(open) == 0 {
			return errClaims // not JSON, or something after the object
		}
		var top *jsonScope
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		if name, ok := token.(string); ok && top.wantsName() {
			if len(open) == 1 {
				name = strings.ToLower(name)
			}
			if top.names[name] {
				return errClaims
			}
			top.names[name], top.value = true, true
			continue
		}
		switch delim, _ := token.(json.Delim); delim {
		case '{', '[':
			if len(open) == maxJSONDepth {
				return errClaims
			}
			scope := &jsonScope{}
			if delim == '{' {
				scope.names = make(map[string]bool)
			}
			open = append(open, scope)
		case '}', ']':
			open = open[:len(open)-1]
			if len(open) > 0 {
				open[len(open)-1].value = false
			}
		default:
			if top != nil {
				top.value = false
			}
		}
	}
}

// jsonScope is an object or an array that is being read.
type jsonScope struct {
	names map[string]bool // of an object; nil in an array
	value bool            // a name was read, its value is next
}

func (s *jsonScope) wantsName() bool { return s != nil && s.names != nil && !s.value }

// quoteJSON returns s as a JSON string, as most encoders write it.
func quoteJSON(s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	return bytes.TrimSpace(out.Bytes())
}
