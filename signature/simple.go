package signature

import (
	"encoding/base64"
	"encoding/json"
)

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
