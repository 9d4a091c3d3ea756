package signature

import (
	"encoding/json"
	"fmt"
	"strings"
)

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
