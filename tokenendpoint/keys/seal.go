package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
)

// Seal encrypts a small value that clients carry back to us or to another
// gateway with the same keys, such as where a list goes on. A value sealed
// for one purpose does not open for another one.
func (r *Ring) Seal(purpose string, value []byte) (string, error) {
	k := r.current.Load().signer(r.cfg.Algorithm, r.cfg.Now())
	if k == nil {
		return "", errors.New("no key of the ring may be used at this time")
	}
	box, err := k.box(purpose)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(value)+box.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(box.Seal(nonce, nonce, value, nil)), nil
}

// Open returns what was sealed for the purpose, false if it was not sealed
// with a key that is still there.
func (r *Ring) Open(purpose, sealed string) ([]byte, bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	now := r.cfg.Now()
	for _, k := range r.current.Load().keys {
		if k.over(r.cfg.recall(), now) {
			continue
		}
		box, err := k.box(purpose)
		if err != nil || len(data) < box.NonceSize() {
			continue
		}
		if value, err := box.Open(nil, data[:box.NonceSize()], data[box.NonceSize():], nil); err == nil {
			return value, true
		}
	}
	return nil, false
}

// box derives a secret key from the signing key (RFC 5869), so that all
// gateways that share the ring have it, and no other secret need be kept.
func (k *key) box(purpose string) (cipher.AEAD, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	secret, err := hkdf.Key(sha256.New, der, nil, "caddy-registry-auth "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
