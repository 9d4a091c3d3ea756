package authn

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// Identity is who a principal is for good: issuer and subject where there is a
// provider, whatever the name is at the moment, else the kind and the name.
// It is comparable.
type Identity struct {
	Kind    Kind
	Issuer  string
	Subject string
	Name    string // empty where Subject is given
}

// Identity returns who the principal is for good.
func (p *Principal) Identity() Identity {
	if p.IsAnonymous() {
		return Identity{Kind: KindAnonymous}
	}
	if p.Kind == KindUser && p.Subject != "" {
		return Identity{Kind: p.Kind, Issuer: p.Issuer, Subject: p.Subject}
	}
	return Identity{Kind: p.Kind, Name: p.Name}
}

// ID returns a short text that stands for the identity, safe in a URL.
func (i Identity) ID() string {
	h := sha256.New()
	for _, part := range []string{string(i.Kind), i.Issuer, i.Subject, i.Name} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:15])
	return string(i.Kind) + "-" + strings.ToLower(text)
}
