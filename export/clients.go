package export

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

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
