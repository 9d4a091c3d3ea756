package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Where a registry finds the gateway's keys.
const (
	certificatesFile = "/etc/registry/gateway.pem"
	keySetFile       = "/etc/registry/gateway.json"
)

// setting is a setting of Distribution's token authentication, named as in
// config.yml.
type setting struct{ name, value string }

// settings are those that make Distribution verify the gateway's tokens.
// Certificates are what both of its generations read.
func (in *Input) settings() []setting {
	list := []setting{{"realm", in.Realm}, {"service", in.Service}, {"issuer", in.Issuer}}
	if in.useKeySet() {
		return append(list, setting{"jwks", keySetFile})
	}
	return append(list, setting{"rootcertbundle", certificatesFile})
}

// notes say where the keys come from and for whom this is.
func (in *Input) notes() string {
	var b strings.Builder
	url, file := in.CertificatesURL, certificatesFile
	if in.useKeySet() {
		url, file = in.JWKSURL, keySetFile
	}
	fmt.Fprintf(&b, "# For CNCF Distribution %s. The file with the gateway's keys:\n", in.generations())
	fmt.Fprintf(&b, "#   curl -fsS %s -o %s\n", url, file)
	fmt.Fprintf(&b, "# Fetch it again, and restart the registry, before the keys change, or keep\n# them with \"rotate_every never\" in the gateway's token block.\n")
	return b.String()
}

// generations are those of Distribution that can verify the tokens with what
// settings names.
func (in *Input) generations() string {
	switch {
	case in.useKeySet():
		return "3"
	case in.X5C:
		return "2.8 and 3"
	case in.Libtrust:
		return "2.8"
	}
	return "3 (2.8 needs \"x5c\" in the gateway's token block)"
}

func distribution(in *Input) (string, error) {
	var b strings.Builder
	b.WriteString(in.notes())
	b.WriteString("auth:\n  token:\n")
	for _, s := range in.settings() {
		fmt.Fprintf(&b, "    %s: %s\n", s.name, quote(s.value))
	}
	return b.String(), nil
}

// variables are the settings as Distribution reads them from its environment.
func (in *Input) variables() []setting {
	list := []setting{{"REGISTRY_AUTH", "token"}}
	for _, s := range in.settings() {
		list = append(list, setting{"REGISTRY_AUTH_TOKEN_" + strings.ToUpper(s.name), s.value})
	}
	return list
}

func env(in *Input) (string, error) {
	var b strings.Builder
	b.WriteString(in.notes())
	for _, v := range in.variables() {
		fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
	}
	return b.String(), nil
}

func compose(in *Input) (string, error) {
	s := in.settings()
	file := s[len(s)-1].value
	local := "./" + file[strings.LastIndexByte(file, '/')+1:]
	image := "registry:3"
	if in.Libtrust && !in.X5C && !in.useKeySet() {
		image = "registry:2.8"
	}
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(in.notes(), "-o "+file, "-o "+local))
	fmt.Fprintf(&b, "services:\n  registry:\n    image: %s\n    environment:\n", image)
	for _, v := range in.variables() {
		fmt.Fprintf(&b, "      %s: %s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&b, `    configs:
      - source: gateway-keys
        target: %s
    volumes:
      - registry:/var/lib/registry
configs:
  gateway-keys:
    file: %s
volumes:
  registry: {}
`, file, local)
	return b.String(), nil
}

// quote is a string of JSON and of YAML.
func quote(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string: there is no such error
	return strings.TrimSuffix(b.String(), "\n")
}
