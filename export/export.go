// Package export writes what the other side of a gateway needs: the part of a
// registry's configuration that makes it verify the gateway's tokens, and the
// login of a client. It knows the formats and nothing of gateways.
package export

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Input is what a gateway says of itself. All fields but the last group are
// public.
type Input struct {
	// Registry is the host, with a port if it is not 443, under which clients
	// know the registry.
	Registry string
	// Realm is the absolute URL of the token endpoint.
	Realm string
	// Service and Issuer are "aud" and "iss" of the tokens.
	Service, Issuer string

	// Algorithm signs the tokens (RFC 7518 §3.1): ES256, RS256 or EdDSA.
	Algorithm string
	// Libtrust: the ids of keys are those of libtrust, not of RFC 7638.
	Libtrust bool
	// X5C: the tokens carry the certificate of their key.
	X5C bool

	// CertificatesURL and JWKSURL are where the gateway publishes its keys.
	CertificatesURL, JWKSURL string
	// Certificates (PEM) and JWKS (RFC 7517 §5) are what is found there. Only
	// the formats need them that [Format.Keys] says.
	Certificates, JWKS []byte

	// Username and Secret log a client in, for the formats of [Format.Login].
	Username, Secret string
}

// Format is a form in which the other side takes its configuration.
type Format struct {
	// Name is what it is called.
	Name string
	// Description says what it is, in a line.
	Description string
	// Keys: the content of the gateway's keys is part of it.
	Keys bool
	// Login: a user name and a secret are part of it.
	Login bool

	contentType string
	render      func(*Input) (string, error)
}

const (
	typeYAML = "application/yaml"
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// Formats returns all formats.
func Formats() []Format {
	return []Format{
		{Name: "distribution", Description: "the auth section of config.yml of CNCF Distribution", contentType: typeYAML, render: distribution},
		{Name: "zot", Description: "the bearer section of zot's config.json", contentType: typeJSON, render: zot},
		{Name: "compose", Description: "a compose.yaml with a registry that verifies tokens", contentType: typeYAML, render: compose},
		{Name: "env", Description: "environment variables for CNCF Distribution, an --env-file", contentType: typeText, render: env},
		{Name: "kubernetes", Description: "Secrets with the environment and the keys for a registry's pod", Keys: true, contentType: typeYAML, render: kubernetes},
		{Name: "docker-config", Description: "a client's config.json with a login", Login: true, contentType: typeJSON, render: dockerConfig},
		{Name: "certificates", Description: "the certificates of the keys, PEM", Keys: true, contentType: "application/x-pem-file", render: certificates},
		{Name: "jwks", Description: "the public keys, a JSON Web Key Set", Keys: true, contentType: "application/jwk-set+json", render: keySet},
	}
}

// MediaTypes returns what the formats without a login are, each once.
func MediaTypes() []string {
	var types []string
	for _, f := range Formats() {
		if !f.Login && !slices.Contains(types, f.contentType) {
			types = append(types, f.contentType)
		}
	}
	return types
}

// Errors of [Render] and [Find], wrapped with details.
var (
	// ErrFormat: there is no such format.
	ErrFormat = errors.New("unknown format")
	// ErrIncomplete: the input lacks what the format needs.
	ErrIncomplete = errors.New("incomplete")
	// ErrNotPossible: the registry cannot verify such tokens.
	ErrNotPossible = errors.New("not possible")
)

// Find returns the format of a name, or [ErrFormat].
func Find(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("%w %.64q: want one of %s", ErrFormat, name, strings.Join(names, ", "))
}

// Render writes a format and says of which media type it is. Errors are
// [ErrFormat], [ErrIncomplete] and [ErrNotPossible].
func Render(format string, in Input) (body []byte, contentType string, err error) {
	f, err := Find(format)
	if err != nil {
		return nil, "", err
	}
	if err := in.check(f); err != nil {
		return nil, "", fmt.Errorf("%s: %w", f.Name, err)
	}
	text, err := f.render(&in)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", f.Name, err)
	}
	return []byte(text), f.contentType, nil
}

// check wants all that a format is made of, on one line each.
func (in *Input) check(f Format) error {
	for _, field := range []struct{ name, value string }{
		{"registry", in.Registry}, {"realm", in.Realm}, {"service", in.Service}, {"issuer", in.Issuer},
	} {
		if field.value == "" {
			return fmt.Errorf("%w: %s is missing", ErrIncomplete, field.name)
		}
		if strings.ContainsFunc(field.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%w: %s has control characters", ErrIncomplete, field.name)
		}
	}
	if f.Login && (in.Username == "" || in.Secret == "" || strings.Contains(in.Username, ":")) {
		return fmt.Errorf("%w: a user name without a colon, and a secret, are needed", ErrIncomplete)
	}
	return nil
}

// useKeySet: tokens signed so are verified with a key set only.
func (in *Input) useKeySet() bool { return in.Algorithm == "EdDSA" }

// dockerConfig is what docker, podman and the others keep of a login.
func dockerConfig(in *Input) (string, error) {
	auth := base64.StdEncoding.EncodeToString([]byte(in.Username + ":" + in.Secret))
	return document(map[string]any{"auths": map[string]any{in.Registry: map[string]string{"auth": auth}}})
}

// zot is zot's bearer authentication. It verifies with one certificate, RS256
// only before its version 2.1.3, and looks at neither issuer nor audience.
func zot(in *Input) (string, error) {
	if in.useKeySet() {
		return "", fmt.Errorf("%w: zot verifies with a certificate: use ES256 or RS256", ErrNotPossible)
	}
	return document(map[string]any{"http": map[string]any{"auth": map[string]any{"bearer": map[string]string{
		"realm": in.Realm, "service": in.Service, "cert": "/etc/zot/gateway.pem",
	}}}})
}

func document(v any) (string, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return string(text) + "\n", err
}
