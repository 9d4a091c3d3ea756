package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// registry is a Fetcher with things in it.
type registry struct {
	manifests map[string]string // by tag or digest
	mediaType string            // of all manifests; default: OCI image manifest
	blobs     map[string][]byte
	referrers []Descriptor
	status    int // if set, of every manifest
	fetches   int
}

func newRegistry() *registry {
	return &registry{manifests: map[string]string{}, blobs: map[string][]byte{}}
}

func (r *registry) Manifest(_ context.Context, _, reference string) ([]byte, string, int, error) {
	r.fetches++
	body, ok := r.manifests[reference]
	switch {
	case r.status != 0:
		return nil, "", r.status, nil
	case !ok:
		return nil, "", http.StatusNotFound, nil
	case r.mediaType != "":
		return []byte(body), r.mediaType, http.StatusOK, nil
	}
	return []byte(body), typeManifest, http.StatusOK, nil
}

func (r *registry) Blob(_ context.Context, _, digest string, _ int) ([]byte, error) {
	r.fetches++
	if b, ok := r.blobs[digest]; ok {
		return b, nil
	}
	return nil, ErrNotFound
}

func (r *registry) Referrers(context.Context, string, string) ([]Descriptor, error) {
	return r.referrers, nil
}

// layer is one layer of a manifest, whose content is put into the registry.
func (r *registry) layer(mediaType string, content []byte, annotations map[string]string) Descriptor {
	digest := Digest(content)
	r.blobs[digest] = content
	return Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(content)), Annotations: annotations}
}

func manifestOf(layers ...Descriptor) string {
	text, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest, "layers": layers,
		"config": Descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Digest: Digest(nil)},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func payloadFor(digest string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"x/y"},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, digest, simpleType)
}

func signed(signature []byte) map[string]string {
	return map[string]string{annotation: base64.StdEncoding.EncodeToString(signature)}
}

func bundleFor(t *testing.T, key crypto.Signer, digest, predicate string) []byte {
	t.Helper()
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		strings.TrimPrefix(digest, "sha256:"), predicate)
	signature := sign(t, key, preAuthentication(statementType, statement), nil)
	return fmt.Appendf(nil, `{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[{"sig":%q}]}}`,
		typeBundle, base64.StdEncoding.EncodeToString(statement), statementType, base64.StdEncoding.EncodeToString(signature))
}

func newECDSA(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign signs a message as cosign does; options are those of the hash, nil for
// SHA-256.
func sign(t *testing.T, key crypto.Signer, message []byte, options crypto.SignerOpts) []byte {
	t.Helper()
	if options == nil {
		options = crypto.SHA256
	}
	digest := message
	switch _, plain := key.(ed25519.PrivateKey); {
	case plain:
		options = crypto.Hash(0)
	case options.HashFunc() == crypto.SHA384:
		s := sha512.Sum384(message)
		digest = s[:]
	case options.HashFunc() == crypto.SHA512:
		s := sha512.Sum512(message)
		digest = s[:]
	default:
		s := sha256.Sum256(message)
		digest = s[:]
	}
	signature, err := key.Sign(rand.Reader, digest, options)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func pemOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func verifierOf(t *testing.T, keys ...crypto.Signer) *Verifier {
	t.Helper()
	var all []PublicKey
	for _, k := range keys {
		parsed, err := ParseKeys([]byte(pemOf(t, k)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parsed...)
	}
	return NewVerifier(all)
}
