package authn

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

func keysOfAllAlgorithms() map[string]testKey {
	keys := map[string]testKey{"EdDSA": {"k", "EdDSA", must2(ed25519.GenerateKey(rand.Reader))}}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		keys[name] = testKey{"k", name, must(ecdsa.GenerateKey(curve, rand.Reader))}
	}
	for _, name := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[name] = testKey{"k", name, makeRSA()}
	}
	return keys
}

func must2(_ ed25519.PublicKey, private ed25519.PrivateKey, err error) ed25519.PrivateKey {
	return must(private, err)
}

// TestSignaturesAreOfTheirKey: each algorithm takes what its key has signed, in
// the form that is meant, and nothing else.
func TestSignaturesAreOfTheirKey(t *testing.T) {
	keys := keysOfAllAlgorithms()
	for name, key := range keys {
		algorithm, public := signatureAlgorithms[name], key.private.Public()
		signature := key.signature("signed")
		if !algorithm.verify(public, "signed", signature) {
			t.Errorf("%s: refused", name)
		}
		for wrong, s := range map[string][]byte{
			"changed": append([]byte{signature[0] ^ 1}, signature[1:]...), "longer": append(append([]byte{}, signature...), 0), "shorter": signature[:len(signature)-1],
			"doubled": append(append([]byte{}, signature...), signature...), "empty": {}, "none": nil,
		} {
			if algorithm.verify(public, "signed", s) {
				t.Errorf("%s: a signature that is %s is accepted", name, wrong)
			}
		}
		if algorithm.verify(public, "Signed", signature) {
			t.Errorf("%s: accepted for something else", name)
		}
		for other := range keys {
			if other != name && signatureAlgorithms[other].verify(public, "signed", signature) {
				t.Errorf("%s: accepted as %s", name, other)
			}
		}
	}
	if (signatureAlgorithm{}).verify("no key", "signed", nil) || signatureAlgorithms["EdDSA"].fits("no key") {
		t.Error("a string is a key")
	}
	if signatureAlgorithms["RS256"].verify(makeBad().Public(), "signed", keys["RS256"].signature("signed")) {
		t.Error("accepted as of another key")
	}
	for name, want := range map[string]string{"none": "not safe", "HS256": "not safe", "ES257": "want one of", "": "want one of", "ES256": ""} {
		if err := CheckAlgorithm(name); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysOfASet: those that can sign tokens, and no others.
func TestKeysOfASet(t *testing.T) {
	rsaOf := func(bits int, e int64) object {
		n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
		return object{"kty": "RSA", "n": encode(n.SetBit(n, 0, 1).Bytes()), "e": encode(big.NewInt(e).Bytes())}
	}
	ec, okp := keysOfAllAlgorithms()["ES256"].jwk(), keysOfAllAlgorithms()["EdDSA"].jwk()
	with := func(k object, name string, v any) object {
		out := object{}
		for n, old := range k {
			out[n] = old
		}
		out[name] = v
		return out
	}
	for name, test := range map[string]struct {
		key  object
		want bool
	}{
		"RSA 2048": {rsaOf(2048, 65537), true}, "RSA 2047": {rsaOf(2047, 65537), false}, "RSA 8192": {rsaOf(8192, 65537), true}, "RSA 8193": {rsaOf(8193, 65537), false},
		"RSA far too large": {rsaOf(8*1200, 65537), false}, "e 3": {rsaOf(2048, 3), true}, "e 1": {rsaOf(2048, 1), false}, "e 4": {rsaOf(2048, 4), false}, "e 2": {rsaOf(2048, 2), false},
		"the largest e": {rsaOf(2048, 1<<31-1), true}, "a larger e": {rsaOf(2048, 1<<31+1), false}, "a long e": {rsaOf(2048, 1<<40+1), false},
		"n that is none": {with(rsaOf(2048, 3), "n", "!"), false}, "e that is none": {with(rsaOf(2048, 3), "e", "!"), false},
		"EC": {ec, true}, "another curve": {with(ec, "crv", "P-384"), false}, "no curve": {with(ec, "crv", "secp256k1"), false}, "off the curve": {with(ec, "y", ec["x"]), false},
		"a short x": {with(ec, "x", "AAAA"), false}, "a short y": {with(ec, "y", "AAAA"), false}, "x that is none": {with(ec, "x", "!"), false}, "y that is none": {with(ec, "y", "!"), false},
		"OKP": {okp, true}, "X25519": {with(okp, "crv", "X25519"), false}, "a short key": {with(okp, "x", "AAAA"), false}, "a key that is none": {with(okp, "x", "!"), false},
		"symmetric": {object{"kty": "oct", "k": "AAAA"}, false}, "for encryption": {with(okp, "use", "enc"), false}, "for nothing said": {with(okp, "use", ""), true},
		"to verify": {with(okp, "key_ops", []string{"verify"}), true}, "to sign": {with(okp, "key_ops", []string{"sign"}), false}, "to do nothing": {with(okp, "key_ops", []string{}), false},
		"a long id": {with(okp, "kid", strings.Repeat("k", 256)), false}, "the longest": {with(okp, "kid", strings.Repeat("k", 255)), true}, "no id": {with(okp, "kid", 7), false},
	} {
		keys, err := parseJWKS(must(json.Marshal(object{"keys": []object{test.key}})), time.Time{})
		if (err == nil) != test.want || err == nil && len(keys.list) != 1 {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
	many := func(n int) []byte {
		list := make([]object, n)
		for i := range list {
			list[i] = with(okp, "kid", fmt.Sprint(i))
		}
		return must(json.Marshal(object{"keys": list}))
	}
	for n, want := range map[int]bool{maxKeys: true, maxKeys + 1: false, 0: false} {
		if keys, err := parseJWKS(many(n), time.Time{}); (err == nil) != want {
			t.Errorf("%d keys: %v, %v", n, keys, err)
		}
	}
	for _, wrong := range []string{"", "{", "[]", `{"keys":7}`, `{"keys":[7]}`} {
		if keys, err := parseJWKS([]byte(wrong), time.Time{}); err == nil {
			t.Errorf("%s: %v", wrong, keys)
		}
	}
	// The key of a token is the one it names, or else the only one that fits.
	one, other := verificationKey{"a", "", keysOfAllAlgorithms()["ES256"].private.Public()}, verificationKey{"b", "", keysOfAllAlgorithms()["ES256"].private.Public()}
	edwards := verificationKey{"c", "", keysOfAllAlgorithms()["EdDSA"].private.Public()}
	bound := verificationKey{"d", "RS384", makeRSA().Public()}
	for name, test := range map[string]struct {
		keys  []verificationKey
		token signedToken
		found int
		want  error
	}{
		"named":                {[]verificationKey{one, other}, signedToken{algorithm: "ES256", keyID: "b", hasKeyID: true}, 1, nil},
		"named as another":     {[]verificationKey{one, other}, signedToken{algorithm: "ES256", keyID: "x", hasKeyID: true}, 0, errUnknownKey},
		"named as none":        {[]verificationKey{one}, signedToken{algorithm: "ES256", hasKeyID: true}, 0, errUnknownKey},
		"the only one":         {[]verificationKey{one, edwards}, signedToken{algorithm: "ES256"}, 1, nil},
		"one of two":           {[]verificationKey{one, other}, signedToken{algorithm: "ES256"}, 0, ErrInvalid},
		"of another algorithm": {[]verificationKey{one}, signedToken{algorithm: "EdDSA", keyID: "a", hasKeyID: true}, 0, errUnknownKey},
		"of its algorithm":     {[]verificationKey{bound}, signedToken{algorithm: "RS384"}, 1, nil},
		"of another hash":      {[]verificationKey{bound}, signedToken{algorithm: "RS256"}, 0, errUnknownKey},
		"of no algorithm":      {[]verificationKey{one}, signedToken{algorithm: "none"}, 0, errUnknownKey},
	} {
		found, err := (&providerKeys{list: test.keys}).find(&test.token)
		if !errors.Is(err, test.want) || len(found) != test.found {
			t.Errorf("%s: %d keys, %v", name, len(found), err)
		}
	}
	set := &providerKeys{list: []verificationKey{one, bound}}
	for name, test := range map[string]struct {
		key  verificationKey
		want bool
	}{
		"the same": {one, true}, "with another id": {verificationKey{"x", "", one.public}, false}, "for another algorithm": {verificationKey{"a", "ES256", one.public}, false},
		"another key": {verificationKey{"a", "", other.public}, false}, "no key": {verificationKey{"a", "", "x"}, false},
	} {
		if set.has(test.key) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
}

// TestTokensHaveOneSpelling: everything else is refused, and what is refused
// for its header or signature still says whose it is.
func TestTokensHaveOneSpelling(t *testing.T) {
	segment := func(text string) string { return encode([]byte(text)) }
	header, claims := segment(`{"alg":"ES256","typ":"JWT","kid":"k"}`), segment(`{"iss":"x"}`)
	nested := func(n int) string {
		return segment(`{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	for name, test := range map[string]struct {
		token        string
		good, claims bool
	}{
		"good":                {header + "." + claims + ".AAAA", true, true},
		"two parts":           {header + "." + claims, false, false},
		"four parts":          {header + "." + claims + ".AAAA.AAAA", false, false},
		"no signature":        {header + "." + claims + ".", false, true},
		"a broken signature":  {header + "." + claims + ".AA=A", false, true},
		"a line break in it":  {header + "." + claims + ".AA\nAA", false, true},
		"another spelling":    {header + "." + claims + ".AAB", false, true},
		"padded claims":       {header + "." + segment(`{"iss":"xy"}`) + "=.AAAA", false, false},
		"no claims":           {header + "..AAAA", false, false},
		"claims that are two": {header + "." + segment(`{"a":1,"a":2}`) + ".AAAA", false, false},
		"two, further in":     {header + "." + segment(`{"a":{"b":1,"b":2}}`) + ".AAAA", false, false},
		"two, in a list":      {header + "." + segment(`{"a":[{"b":1,"b":2}]}`) + ".AAAA", false, false},
		"a list":              {header + "." + segment(`[1]`) + ".AAAA", false, false},
		"a text":              {header + "." + segment(`"x"`) + ".AAAA", false, false},
		"something behind":    {header + "." + segment(`{"a":1}{"b":2}`) + ".AAAA", false, false},
		"not JSON":            {header + "." + segment(`{"a":`) + ".AAAA", false, false},
		"not UTF-8":           {header + "." + segment("{\"a\":\"\xff\"}") + ".AAAA", false, false},
		"deep":                {header + "." + nested(maxJSONDepth) + ".AAAA", true, true},
		"too deep":            {header + "." + nested(maxJSONDepth+1) + ".AAAA", false, false},
		"a broken header":     {"!." + claims + ".AAAA", false, true},
		"no algorithm":        {segment(`{"typ":"JWT"}`) + "." + claims + ".AAAA", false, true},
		"crit":                {segment(`{"alg":"ES256","crit":["x"]}`) + "." + claims + ".AAAA", false, true},
		"b64":                 {segment(`{"alg":"ES256","b64":false}`) + "." + claims + ".AAAA", false, true},
		"enc":                 {segment(`{"alg":"ES256","enc":"x"}`) + "." + claims + ".AAAA", false, true},
		"zip":                 {segment(`{"alg":"ES256","zip":"x"}`) + "." + claims + ".AAAA", false, true},
		"another type":        {segment(`{"alg":"ES256","typ":"at+jwt"}`) + "." + claims + ".AAAA", false, true},
		"a type we named":     {segment(`{"alg":"ES256","typ":"X+JWT"}`) + "." + claims + ".AAAA", true, true},
		"a type that is none": {segment(`{"alg":"ES256","typ":7}`) + "." + claims + ".AAAA", false, true},
		"a number as kid":     {segment(`{"alg":"ES256","kid":7}`) + "." + claims + ".AAAA", false, true},
		"the longest kid":     {segment(`{"alg":"ES256","kid":"`+strings.Repeat("k", 255)+`"}`) + "." + claims + ".AAAA", true, true},
		"a longer one":        {segment(`{"alg":"ES256","kid":"`+strings.Repeat("k", 256)+`"}`) + "." + claims + ".AAAA", false, true},
		"the longest token":   {header + "." + claims + "." + strings.Repeat("A", (MaxCredential-len(header)-len(claims)-2)/4*4), true, true},
		"a longer token":      {header + "." + claims + "." + strings.Repeat("A", (MaxCredential-len(header)-len(claims)-2)/4*4+4), false, false},
	} {
		token, err := parseToken(test.token, "x+jwt")
		if (err == nil) != test.good || (token != nil) != test.claims {
			t.Errorf("%s: %v, %v", name, token, err)
		}
	}
	for s, want := range map[string]bool{
		"eyJhbGciOiJFUzI1.a.b": true, "ewogICJhbGciOiJF.a.b": true, "fyJhbGciOiJFUzI1.a.b": false, "exJhbGciOiJFUzI1.a.b": false, "eyJhbGciOiJFUzI1.a": false,
		"eyJhbGciOiJFUzI1.a.b.c": false, "eyJhbGciOiJF.a.b": false, "eyJhbGciOiJFU.a.b": true,
	} {
		if looksLikeJWT(s) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
}
