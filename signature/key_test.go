package signature

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func TestKeyKinds(t *testing.T) {
	p384, p521, rsaKey := newECDSA(t, elliptic.P384()), newECDSA(t, elliptic.P521()), newRSA(t, 2048)
	for _, tt := range []struct {
		name    string
		key     crypto.Signer
		options crypto.SignerOpts
		good    bool
	}{
		{"P-256", newECDSA(t, elliptic.P256()), crypto.SHA256, true},
		{"P-256 over SHA-512", newECDSA(t, elliptic.P256()), crypto.SHA512, false},
		{"P-384", p384, crypto.SHA256, true},
		{"P-384 over SHA-384", p384, crypto.SHA384, true},
		{"P-521", p521, crypto.SHA256, true},
		{"P-521 over SHA-512", p521, crypto.SHA512, true},
		{"Ed25519", newEd25519(t), nil, true},
		{"RSA PKCS #1", rsaKey, crypto.SHA256, true},
		{"RSA PSS", rsaKey, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}, true},
		{"RSA over SHA-512", rsaKey, crypto.SHA512, false},
	} {
		keys, err := ParseKeys([]byte(pemOf(t, tt.key)))
		if err != nil {
			t.Fatal(err)
		}
		signature := sign(t, tt.key, []byte("message"), tt.options)
		if got := keys[0].verifies([]byte("message"), signature); got != tt.good {
			t.Errorf("%s: verifies %v", tt.name, got)
		}
		if keys[0].verifies([]byte("another"), signature) || keys[0].verifies([]byte("message"), nil) {
			t.Errorf("%s: verifies anything", tt.name)
		}
	}
}

func TestParseKeys(t *testing.T) {
	two := pemOf(t, newECDSA(t, elliptic.P256())) + "\n" + pemOf(t, newEd25519(t))
	if keys, err := ParseKeys([]byte(two)); err != nil || len(keys) != 2 {
		t.Errorf("two keys: %d, %v", len(keys), err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(newEd25519(t))
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":       {" \n", "is empty"},
		"no PEM":      {"hello", "is not PEM"},
		"text before": {"hello\n" + two, "is not PEM"},
		"text after":  {two + "hello", "is not PEM"},
		"private":     {block("PRIVATE KEY", private), "want the public key"},
		"certificate": {block("CERTIFICATE", []byte("x")), "want the public key"},
		"not a key":   {block("PUBLIC KEY", []byte("x")), "can be read"},
		"P-224":       {pemOf(t, newECDSA(t, elliptic.P224())), "P-224"},
		"short RSA":   {pemOf(t, newRSA(t, 1024)), "1024 bits"},
	} {
		if _, err := ParseKeys([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want %q, got %v", name, tt.want, err)
		}
	}
}

func TestVerifierID(t *testing.T) {
	a, b := newEd25519(t), newEd25519(t)
	if verifierOf(t, a, b).ID() != verifierOf(t, b, a).ID() || verifierOf(t, a).ID() == verifierOf(t, b).ID() {
		t.Error("the ID does not tell keys apart")
	}
}
