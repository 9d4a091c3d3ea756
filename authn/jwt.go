package authn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// signedToken is a JWT (RFC 7519) in the compact serialization, taken apart
// but not verified.
type signedToken struct {
	algorithm string
	keyID     string
	hasKeyID  bool
	claims    map[string]any
	signed    string // what the signature is over
	signature []byte
}

// maxJSONDepth is how deep headers and claims may be nested.
const maxJSONDepth = 16

// looksLikeJWT reports whether s has the shape of a signed JWT: three parts,
// the first of which is the base64 of what a JSON object begins with, "{" and
// a quote or white space. Few passwords that people choose have it.
func looksLikeJWT(s string) bool {
	return len(s) > 16 && s[0] == 'e' && (s[1] == 'y' || s[1] == 'w') && strings.Count(s, ".") == 2
}

// parseToken takes a token apart. It accepts one spelling of a token only and
// refuses what RFC 8725 advises to: headers that change what is signed or must
// be understood, names that occur twice, types other than JWT. Keys that come
// inside the header (jwk, jku, x5c, x5u) are never looked at. Further types
// that are accepted can be named. If the claims could be read the token is
// returned together with the error, so that it is known whose broken token it
// is.
func parseToken(s string, types ...string) (*signedToken, error) {
	if len(s) > MaxCredential {
		return nil, fmt.Errorf("token is longer than %d bytes", MaxCredential)
	}
	if strings.Count(s, ".") != 2 {
		return nil, errors.New("token has not three parts")
	}
	end := strings.LastIndexByte(s, '.')
	first, second, _ := strings.Cut(s[:end], ".")
	claims, err := decodeObject(second)
	if err != nil {
		return nil, fmt.Errorf("token claims: %w", err)
	}
	t := &signedToken{claims: claims, signed: s[:end]}
	header, err := decodeObject(first)
	if err == nil {
		err = t.setHeader(header, types)
	}
	if err != nil {
		return t, fmt.Errorf("token header: %w", err)
	}
	if t.signature, err = decodeSegment(s[end+1:]); err != nil {
		return t, fmt.Errorf("token signature: %w", err)
	}
	return t, nil
}

func (t *signedToken) setHeader(header map[string]any, types []string) error {
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, ok := header[name]; ok {
			return fmt.Errorf("parameter %q is not supported", name)
		}
	}
	var ok bool
	if t.algorithm, ok = header["alg"].(string); !ok {
		return errors.New("no alg")
	}
	if typ, present := header["typ"]; present {
		// OpenID Connect does not ask for a type, but what says that it is
		// an access token or a logout token is no ID token.
		if s, _ := typ.(string); !strings.EqualFold(s, "JWT") && !slices.Contains(types, strings.ToLower(s)) {
			return errors.New("typ is not JWT")
		}
	}
	if kid, present := header["kid"]; present {
		if t.keyID, ok = kid.(string); !ok || len(t.keyID) > 255 {
			return errors.New("kid is not a short string")
		}
		t.hasKeyID = true
	}
	return nil
}

// decodeSegment decodes base64url without padding, and only the one spelling
// of it that an encoder makes: [encoding/base64] would skip line breaks.
func decodeSegment(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("not base64url")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	return b, nil
}

// decodeObject decodes a segment that holds a JSON object.
func decodeObject(segment string) (map[string]any, error) {
	b, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, errors.New("not JSON in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the JSON object")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

// decodeValue decodes as [json.Unmarshal] does into an interface, but refuses
// a name that occurs twice in an object: of such a pair one reader takes the
// first and another the last.
func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("JSON is nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			key, ok := name.(string)
			if err != nil || !ok {
				return nil, errors.New("not JSON")
			}
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("name %.40q occurs twice", key)
			}
			if object[key], err = decodeValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}
