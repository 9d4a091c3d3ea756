package runner

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// forgeries are the mutations that are more than a changed field.
var forgeries = map[string]func(*forge) (string, error){
	"alg_none": func(f *forge) (string, error) { return f.signAs("none", jose.Fixed(nil)) },
	"alg_None": func(f *forge) (string, error) { return f.signAs("None", jose.Fixed(nil)) },
	"alg_NONE": func(f *forge) (string, error) { return f.signAs("NONE", jose.Fixed(nil)) },
	"alg_nOnE": func(f *forge) (string, error) { return f.signAs("nOnE", jose.Fixed(nil)) },
	"alg_none_signed": func(f *forge) (string, error) {
		return f.signAs("none", jose.KeySigner(f.key, f.alg))
	},
	"alg_swap": (*forge).swapped,
	"alg_odd_case": func(f *forge) (string, error) {
		return f.signAs(strings.ToLower(f.alg), jose.KeySigner(f.key, f.alg))
	},
	"alg_empty": func(f *forge) (string, error) { return f.signAs("", jose.KeySigner(f.key, f.alg)) },

	"hs256_with_public_pem": func(f *forge) (string, error) { return f.hmacWithPublicKey("pem") },
	"hs256_with_public_der": func(f *forge) (string, error) { return f.hmacWithPublicKey("der") },
	"hs256_with_public_jwk": func(f *forge) (string, error) { return f.hmacWithPublicKey("jwk") },
	"hs256_empty_key":       func(f *forge) (string, error) { return f.signAs("HS256", jose.HMAC(nil)) },

	"header_jku": func(f *forge) (string, error) { return f.withForeignKey("jku", f.collab+"/jwks", f.attacker.ID) },
	"header_x5u": func(f *forge) (string, error) { return f.withForeignKey("x5u", f.collab+"/cert", f.attacker.ID) },
	"header_jwk": (*forge).embeddedKey,
	"header_x5c": (*forge).embeddedCertificate,
	"header_crit": func(f *forge) (string, error) {
		f.header = f.header.With("crit", []string{"must-understand"}).With("must-understand", true)
		return f.sign()
	},
	"b64_false": func(f *forge) (string, error) {
		f.header = f.header.With("b64", false)
		return f.sign()
	},
	"b64_false_crit": func(f *forge) (string, error) {
		f.header = f.header.With("b64", false).With("crit", []string{"b64"})
		return f.sign()
	},
	"unknown_key": func(f *forge) (string, error) {
		return f.withForeignKey("kid", f.attacker.ID, f.attacker.ID)
	},
	"foreign_key_known_kid": func(f *forge) (string, error) {
		kid, _ := f.header["kid"].(string)
		return f.withForeignKey("kid", kid, kid)
	},

	"trunc":     func(f *forge) (string, error) { return f.signed(func(t string) string { return t[:len(t)-1] }) },
	"trunc_sig": func(f *forge) (string, error) { return f.signed(func(t string) string { return t[:len(t)-8] }) },
	"malleable": func(f *forge) (string, error) { return f.signed(otherLastCharacter) },
	"no_sig":    func(f *forge) (string, error) { return f.signed(withoutSignature) },
	"tampered": func(f *forge) (string, error) {
		return f.signed(func(t string) string {
			header, rest, _ := strings.Cut(t, ".")
			_, signature, _ := strings.Cut(rest, ".")
			return header + "." + jose.Encode(f.claims.With("sub", "admin").Bytes()) + "." + signature
		})
	},
	"jws_json_serialization": func(f *forge) (string, error) {
		return f.signed(func(t string) string {
			p := strings.Split(t, ".")
			return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, p[1], p[0], p[2])
		})
	},
	"jwe": func(f *forge) (string, error) {
		header := jose.Object{"alg": "dir", "enc": "A128GCM", "kid": f.header["kid"]}
		return jose.Encode(header.Bytes()) + "..AAAAAAAAAAAAAAAA." + jose.Encode(f.claims.Bytes()) + ".AAAAAAAAAAAAAAAAAAAAAA", nil
	},
	"jwe_zip": func(f *forge) (string, error) {
		header := jose.Object{"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "zip": "DEF", "p2c": 2000000000, "p2s": "AAAA"}
		return jose.Encode(header.Bytes()) + ".AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", nil
	},

	"es256_r0_s0": func(f *forge) (string, error) { return f.signAs("ES256", jose.Fixed(make([]byte, 64))) },
	"es256_der":   (*forge).derSignature,
	"es256_r_n":   (*forge).curveOrderSignature,

	"dup_claim": (*forge).duplicateClaim,
}

// signed returns the good token, changed as text.
func (f *forge) signed(change func(string) string) (string, error) {
	token, err := f.sign()
	if err != nil {
		return "", err
	}
	return change(token), nil
}

// swapped names another algorithm than the signature's.
func (f *forge) swapped() (string, error) {
	other := "RS256"
	if f.alg == other {
		other = "ES256"
	}
	return f.signAs(other, jose.KeySigner(f.key, f.alg))
}

func (f *forge) hmacWithPublicKey(form string) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		return "", err
	}
	switch form {
	case "pem":
		return f.signAs("HS256", jose.HMAC(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	case "der":
		return f.signAs("HS256", jose.HMAC(der))
	}
	jwk, err := jose.JWK(f.key.Public())
	if err != nil {
		return "", err
	}
	return f.signAs("HS256", jose.HMAC(jwk.Bytes()))
}

// withForeignKey signs with the attacker's key and says where to find it.
func (f *forge) withForeignKey(field string, value any, kid string) (string, error) {
	f.header = f.header.With("kid", kid).With(field, value)
	return f.signAs(f.attacker.Alg, jose.KeySigner(f.attacker.Private, f.attacker.Alg))
}

// embeddedKey brings the attacker's key along, under the real key's id.
func (f *forge) embeddedKey() (string, error) {
	jwk, err := jose.JWK(f.attacker.Private.Public())
	if err != nil {
		return "", err
	}
	kid, _ := f.header["kid"].(string)
	return f.withForeignKey("jwk", jwk.With("kid", kid), kid)
}

func (f *forge) embeddedCertificate() (string, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.attacker.Private.Public(), f.attacker.Private)
	if err != nil {
		return "", err
	}
	return f.withForeignKey("x5c", []string{base64.StdEncoding.EncodeToString(der)}, f.attacker.ID)
}

func (f *forge) derSignature() (string, error) {
	key, ok := f.key.(*ecdsa.PrivateKey)
	if !ok {
		return "", unsupported("ECDSA forgery of a token that is signed with %s", f.alg)
	}
	return f.signAs("ES256", func(input []byte) ([]byte, error) {
		sum := sha256.Sum256(input)
		return ecdsa.SignASN1(rand.Reader, key, sum[:])
	})
}

func (f *forge) curveOrderSignature() (string, error) {
	key, ok := f.key.(*ecdsa.PrivateKey)
	if !ok {
		return "", unsupported("ECDSA forgery of a token that is signed with %s", f.alg)
	}
	n := key.Params().N.Bytes()
	return f.signAs("ES256", jose.Fixed(append(append([]byte{}, n...), n...)))
}

// duplicateClaim names a claim twice: readers that take the last one see
// another audience than those that take the first.
func (f *forge) duplicateClaim() (string, error) {
	payload := strings.Replace(string(f.claims.Bytes()), "{", `{"aud":"somebody-else","sub":"admin",`, 1)
	return jose.Compact(f.header.Bytes(), []byte(payload), jose.KeySigner(f.key, f.alg))
}

// twice names a header field or claim twice, first with the value given.
func (f *forge) twice(name string, value any) (string, error) {
	header, claims := f.header.Bytes(), f.claims.Bytes()
	first := jose.Object{name: value}.Bytes()
	first[len(first)-1] = ','
	if headerFields[name] {
		header = append(first, header[1:]...)
	} else {
		claims = append(first, claims[1:]...)
	}
	return jose.Compact(header, claims, jose.KeySigner(f.key, f.alg))
}

// otherLastCharacter changes bits of the last character that carry no data.
func otherLastCharacter(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

func withoutSignature(token string) string { return token[:strings.LastIndex(token, ".")+1] }
