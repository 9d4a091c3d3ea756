package export

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
)

// kubernetes is two Secrets for the pod of a registry, one for "envFrom", one
// to mount at /etc/registry; and, with a login, one for "imagePullSecrets".
func kubernetes(in *Input) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# For CNCF Distribution %s: \"envFrom\" the first, mount the second at /etc/registry.\n", in.generations())
	secret(&b, "registry-token-auth", "Opaque")
	for _, v := range in.variables() {
		fmt.Fprintf(&b, "  %s: %s\n", v.name, quote(v.value))
	}
	b.WriteString("---\n")
	secret(&b, "registry-token-keys", "Opaque")
	bundle, err := certificates(in)
	if err != nil {
		return "", err
	}
	keys, err := keySet(in)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "  gateway.pem: %s\n  gateway.json: %s\n", quote(bundle), quote(keys))
	if in.Username == "" {
		return b.String(), nil
	}
	if in.Secret == "" || strings.Contains(in.Username, ":") {
		return "", fmt.Errorf("%w: a user name without a colon, and a secret, are needed", ErrIncomplete)
	}
	login, err := dockerConfig(in)
	if err != nil {
		return "", err
	}
	b.WriteString("---\n")
	secret(&b, "registry-login", "kubernetes.io/dockerconfigjson")
	fmt.Fprintf(&b, "  .dockerconfigjson: %s\n", quote(login))
	return b.String(), nil
}

func secret(b *strings.Builder, name, kind string) {
	fmt.Fprintf(b, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\ntype: %s\nstringData:\n", name, kind)
}

// certificates is the bundle, if it is one.
func certificates(in *Input) (string, error) {
	if block, _ := pem.Decode(in.Certificates); block == nil || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("%w: the gateway's certificates are missing or no PEM", ErrIncomplete)
	}
	return string(in.Certificates), nil
}

// keySet is the key set, if it is one.
func keySet(in *Input) (string, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(in.JWKS, &set); err != nil || len(set.Keys) == 0 {
		return "", fmt.Errorf("%w: the gateway's key set is missing or none", ErrIncomplete)
	}
	return string(bytes.TrimSpace(in.JWKS)) + "\n", nil
}
