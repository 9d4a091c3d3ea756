// Package signature answers whether the manifest of an image or artifact was
// signed with one of a set of public keys, in the two forms that cosign
// attaches: simple signing, and a Sigstore bundle with an in-toto statement.
//
// It verifies signatures with keys that are known beforehand and nothing
// else: no certificates, no identities, no transparency log, no timestamps.
// It knows nothing of HTTP; a [Fetcher] brings what the registry has, and all
// of that is taken for hostile.
package signature

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what the registry has. What is larger is not looked at.
const (
	// MaxManifest is the size of a manifest, in bytes, as in the
	// distribution-spec.
	MaxManifest = 4 << 20
	// MaxPayload is the size of what was signed, in bytes.
	MaxPayload = 64 << 10
	// MaxLayers is how many layers an attestation or the like may have.
	MaxLayers = 100
	// maxFetches bounds the questions to the registry for one verification.
	// Where something stands among the attached artifacts does not count:
	// anybody who may push can attach more of them.
	maxFetches = 2000
	// maxChecks bounds how many signatures of one verification are computed.
	maxChecks = 5000
)

var (
	// ErrUnsigned says that nothing that could be a signature is attached.
	ErrUnsigned = errors.New("there is no signature")
	// ErrUntrusted says that there are signatures, and none of them was made for this
	// digest with one of the keys.
	ErrUntrusted = errors.New("no signature verifies with a configured key")
	// ErrTooMany is an [ErrUntrusted] of a search that ended before it had seen
	// everything that calls itself a signature.
	ErrTooMany = fmt.Errorf("%w, and more are attached than are looked at", ErrUntrusted)
	// ErrNotFound is what a [Fetcher] returns for a blob that is not there or
	// larger than allowed.
	ErrNotFound = errors.New("not found, or too large")
)

// Descriptor is a descriptor of the OCI image specification.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// Fetcher gets things out of a registry. An error means that the registry
// gave no answer, and ends the verification without a verdict.
type Fetcher interface {
	// Manifest returns a manifest by tag or digest with the HTTP status; a
	// status other than 200 or 404 counts as no answer. It reads no more
	// than [MaxManifest] bytes.
	Manifest(ctx context.Context, repository, reference string) (body []byte, mediaType string, status int, err error)
	// Blob returns a blob of at most limit bytes, else [ErrNotFound].
	Blob(ctx context.Context, repository, digest string, limit int) ([]byte, error)
	// Referrers returns everything that is attached to a manifest, all pages
	// of it; none is no error. A list that cannot be read to its end is one.
	Referrers(ctx context.Context, repository, digest string) ([]Descriptor, error)
}

const (
	// annotation holds the base64 signature of a layer's content.
	annotation = "dev.cosignproject.cosign/signature"
	// maxSignature is the size of a signature in base64: RSA with 8192 bits
	// has 1024 bytes.
	maxSignature = 4096
	// simpleType is what a simple-signing payload of cosign calls itself.
	simpleType = "cosign container image signature"
)

// simplePayload is what is signed (containers/image, "Simple Signing").
type simplePayload struct {
	Critical struct {
		Type  string `json:"type"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
	} `json:"critical"`
}

// simpleSignature returns the signature that a layer carries, nil if none.
func simpleSignature(layer *Descriptor) []byte {
	text := layer.Annotations[annotation]
	if text == "" || len(text) > maxSignature {
		return nil
	}
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return signature
}

// verifySimple reports whether a payload was signed with one of the keys and
// says that it is about the digest. The signature comes first: what was not
// signed is not even parsed.
func verifySimple(keys []PublicKey, payload, signature []byte, digest string) bool {
	if !anyVerifies(keys, payload, signature) {
		return false
	}
	var p simplePayload
	return json.Unmarshal(payload, &p) == nil && p.Critical.Type == simpleType && p.Critical.Image.Digest == digest
}

func anyVerifies(keys []PublicKey, message, signature []byte) bool {
	for _, k := range keys {
		if k.verifies(message, signature) {
			return true
		}
	}
	return false
}

const (
	statementType = "application/vnd.in-toto+json"
	// signPredicate tells a signature from an attestation such as an SBOM,
	// which says something about an image and does not approve of it.
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
	// maxEnvelopeSignatures is how many signatures of one envelope are tried.
	maxEnvelopeSignatures = 10
)

// bundle is as much of a Sigstore bundle as is needed here. Signatures over a
// mere message ("messageSignature") are for files, not for images.
type bundle struct {
	MediaType string `json:"mediaType"`
	Envelope  *struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Signature []byte `json:"sig"`
		} `json:"signatures"`
	} `json:"dsseEnvelope"`
}

// statement is an in-toto statement, of version 0.1 or 1.
type statement struct {
	Type      string `json:"_type"`
	Predicate string `json:"predicateType"`
	Subject   []struct {
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// verifyBundle reports whether a bundle holds a statement that was signed
// with one of the keys and signs the digest, and nothing but it.
func verifyBundle(keys []PublicKey, content []byte, digest string) bool {
	var b bundle
	if json.Unmarshal(content, &b) != nil || b.Envelope == nil || b.MediaType != typeBundle || b.Envelope.PayloadType != statementType {
		return false
	}
	e := b.Envelope
	if len(e.Signatures) > maxEnvelopeSignatures {
		return false
	}
	message := preAuthentication(e.PayloadType, e.Payload)
	for _, s := range e.Signatures {
		if anyVerifies(keys, message, s.Signature) {
			return signs(e.Payload, digest)
		}
	}
	return false
}

// preAuthentication is what is signed of an envelope (DSSE protocol, "PAE").
func preAuthentication(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

func signs(payload []byte, digest string) bool {
	var s statement
	if json.Unmarshal(payload, &s) != nil || !strings.HasPrefix(s.Type, "https://in-toto.io/Statement/v") {
		return false
	}
	return s.Predicate == signPredicate && len(s.Subject) == 1 && "sha256:"+s.Subject[0].Digest["sha256"] == digest
}
