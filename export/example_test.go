package export_test

import (
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/export"
)

// The part of a registry's configuration that makes it verify the gateway's
// tokens itself.
func ExampleRender() {
	body, contentType, err := export.Render("distribution", export.Input{
		Registry: "registry.example.com", Realm: "https://registry.example.com/v2/token",
		Service: "registry.example.com", Issuer: "https://registry.example.com", X5C: true,
		CertificatesURL: "https://registry.example.com/v2/token/certificates",
	})
	fmt.Println(contentType, err)
	fmt.Printf("%s", body)
	// Output:
	// application/yaml <nil>
	// # For CNCF Distribution 2.8 and 3. The file with the gateway's keys:
	// #   curl -fsS https://registry.example.com/v2/token/certificates -o /etc/registry/gateway.pem
	// # Fetch it again, and restart the registry, before the keys change, or keep
	// # them with "rotate_every never" in the gateway's token block.
	// auth:
	//   token:
	//     realm: "https://registry.example.com/v2/token"
	//     service: "registry.example.com"
	//     issuer: "https://registry.example.com"
	//     rootcertbundle: "/etc/registry/gateway.pem"
}
