package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// authorities are public keys of certificate authorities, by the SHA-256 of
// their SubjectPublicKeyInfo (RFC 7469 §2.4). A name would not do: every
// authority can give that of another to an intermediate of its own.
type authorities map[[sha256.Size]byte]bool

// parseAuthorities reads `sha256:<hex>`, or the certificates in a PEM file.
func parseAuthorities(list []string) (authorities, error) {
	keys := authorities{}
	for _, text := range list {
		if encoded, ok := strings.CutPrefix(text, "sha256:"); ok {
			sum, err := hex.DecodeString(encoded)
			if err != nil || len(sum) != sha256.Size {
				return nil, fmt.Errorf("authority %.80q: want sha256: and 64 hexadecimal digits", text)
			}
			keys[[sha256.Size]byte(sum)] = true
			continue
		}
		if !filepath.IsAbs(text) {
			return nil, fmt.Errorf("authority %.80q: want sha256:<hex> or the absolute path of a PEM file", text)
		}
		if err := keys.addFile(text); err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
	}
	return keys, nil
}

func (a authorities) addFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before := len(a)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a[sha256.Sum256(cert.RawSubjectPublicKeyInfo)] = true
	}
	if len(a) == before {
		return errors.New(name + " has no certificates")
	}
	return nil
}

// vouch reports whether one of the ways in which a certificate was verified
// leads through one of the authorities; without any, all do.
func (a authorities) vouch(chains [][]*x509.Certificate) bool {
	if len(a) == 0 {
		return true
	}
	for _, chain := range chains {
		for _, authority := range chain[min(1, len(chain)):] {
			if a[sha256.Sum256(authority.RawSubjectPublicKeyInfo)] {
				return true
			}
		}
	}
	return false
}
