package runner

import (
	"crypto"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// forge turns a good token into a bad one. It has the signer's own key, so
// that what it makes is wrong in one respect only.
type forge struct {
	header, claims jose.Object
	key            crypto.Signer
	alg            string
	// attacker is a key that the gateway has never heard of, published at
	// collab, a listener that no gateway may ask for anything.
	attacker *idp.Key
	collab   string
}

// mutate applies one mutation by name: a special one (see forgeries), else
// NAME=VALUE, NAME+DURATION, NAME-DURATION, no_NAME or dup_NAME=VALUE for a
// header field or claim. Values are JSON where they parse as such, else text.
func (f *forge) mutate(mutation string) (string, error) {
	if special, ok := forgeries[mutation]; ok {
		return special(f)
	}
	if name, ok := strings.CutPrefix(mutation, "header_"); ok {
		if field, value, ok := strings.Cut(name, "="); ok {
			f.header = f.header.With(field, parseValue(value))
			return f.sign()
		}
	}
	if name, ok := strings.CutPrefix(mutation, "dup_"); ok {
		if field, value, ok := strings.Cut(name, "="); ok {
			return f.twice(field, parseValue(value))
		}
	}
	if suffix, ok := strings.CutPrefix(mutation, "append_"); ok {
		return f.appended(suffix)
	}
	if name, ok := strings.CutPrefix(mutation, "no_"); ok {
		return f.set(name, nil)
	}
	if name, value, ok := strings.Cut(mutation, "="); ok {
		return f.set(name, parseValue(value))
	}
	if i := strings.LastIndexAny(mutation, "+-"); i > 0 {
		shift, err := time.ParseDuration(mutation[i:])
		if err == nil {
			return f.set(mutation[:i], time.Now().Add(shift).Unix())
		}
	}
	return "", unsupported("token mutation %q", mutation)
}

// sign signs with the real key.
func (f *forge) sign() (string, error) {
	return jose.Compact(f.header.Bytes(), f.claims.Bytes(), jose.KeySigner(f.key, f.alg))
}

// signAs signs with another algorithm, or what passes for one.
func (f *forge) signAs(alg string, signer jose.Signer) (string, error) {
	return jose.Compact(f.header.With("alg", alg).Bytes(), f.claims.Bytes(), signer)
}

var headerFields = map[string]bool{"alg": true, "kid": true, "typ": true, "cty": true, "crit": true, "b64": true, "zip": true}

// set changes a header field or claim; nil removes it. A name such as
// access.name is a member of the first entry of a list.
func (f *forge) set(name string, value any) (string, error) {
	if headerFields[name] {
		f.header = f.header.With(name, value)
		return f.sign()
	}
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		f.claims = f.claims.With(name, value)
		return f.sign()
	}
	list, ok := f.claims[outer].([]any)
	if !ok || len(list) == 0 {
		return "", unsupported("mutation of %q in a token without %q", name, outer)
	}
	entry, ok := list[0].(map[string]any)
	if !ok {
		return "", unsupported("mutation of %q, which is no list of objects", name)
	}
	list[0] = map[string]any(jose.Object(entry).With(inner, value))
	return f.sign()
}

// appended returns the good token with something behind it.
func (f *forge) appended(what string) (string, error) {
	token, err := f.sign()
	if err != nil {
		return "", err
	}
	names := map[string]string{"CRLF": "\r\n", "LF": "\n", "NUL": "\x00", "space": " ", "dot": ".", "padding": "==", "garbage": "AAAA"}
	if text, ok := names[what]; ok {
		what = text
	}
	return token + what, nil
}

// parseValue reads JSON, with whole numbers kept whole, or plain text, in
// which \u0000 and the like stand for the characters they name.
func parseValue(text string) any {
	var value any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) == nil && !d.More() {
		if value == nil {
			return json.RawMessage("null") // present, and null
		}
		return value
	}
	return unescape(text)
}

func unescape(text string) string {
	if plain, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`); err == nil {
		return plain
	}
	return text
}

// newForge takes a good token apart.
func newForge(token string, key crypto.Signer, alg string) (*forge, error) {
	parts, err := jose.Parse(token)
	if err != nil {
		return nil, fmt.Errorf("take a token apart: %w", err)
	}
	return &forge{header: parts.Header, claims: parts.Claims, key: key, alg: alg}, nil
}
