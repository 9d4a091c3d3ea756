package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"testing"
)

// rfc7638Key is the key of the example in RFC 7638 §3.1.
var rfc7638Key = &rsa.PublicKey{E: 65537, N: new(big.Int).SetBytes(fromBase64(base64.RawURLEncoding,
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"+
		"ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"+
		"368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"+
		"M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"))}

func fromBase64(encoding *base64.Encoding, s string) []byte {
	b, err := encoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestKeyID(t *testing.T) {
	curve, err := x509.ParsePKIXPublicKey(fromBase64(base64.StdEncoding,
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEy0gZWHN0qs0yOJXbPTOO+C0fN3PproyNUJtkeSwxMqXxUOc431sQSQcaSOLfRY5CEJLHe7Kuyvq+PDFxgnhVA=="))
	if err != nil {
		t.Fatal(err)
	}
	edwards := ed25519.PublicKey(fromBase64(base64.RawURLEncoding, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
	for name, c := range map[string]struct {
		key    crypto.PublicKey
		format IDFormat
		want   string
	}{
		"thumbprint, RFC 7638 §3.1": {rfc7638Key, Thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"thumbprint, RFC 8037 §A.3": {edwards, Thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		// Computed with libtrust itself.
		"libtrust, RSA":   {rfc7638Key, Libtrust, "VUZD:EDHW:YWLN:RBFQ:KOA3:UVZ2:XKG5:2V2J:WTPI:6SRD:U6PZ:VCO5"},
		"libtrust, P-256": {curve, Libtrust, "AVF6:GUHI:HB6F:LPF5:3JRI:II2R:QA2Z:PQZX:KENX:QK3Z:NBZK:IQEV"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.format.id(c.key)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	if _, err := thumbprint("no key"); err == nil {
		t.Error("a string has a thumbprint")
	}
	if _, err := libtrustID("no key"); err == nil {
		t.Error("a string has a fingerprint")
	}
}
