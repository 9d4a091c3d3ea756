package registryauth

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// OIDC is the authenticator for ID tokens of one OpenID provider. The
// provider is asked for its keys when the first token arrives, so that Caddy
// starts without it.
type OIDC struct {
	authn.OIDCConfig

	// Certificate authorities for the connection to the provider.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	verifier *authn.OIDC
	poolKey  string
}
