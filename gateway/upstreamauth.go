package gateway

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// Upstream is the credential that the registry behind the gateway sees.
type Upstream struct {
	header      []string // a ready Authorization header, nil for none
	passthrough bool
}

// NewUpstream resolves the secrets. A placeholder that is empty or
// unknown is an error: the registry would be asked without a credential.
func NewUpstream(c *caddyfile.UpstreamAuth) (Upstream, error) {
	if c == nil {
		return Upstream{}, nil
	}
	switch c.Type {
	case "", caddyfile.UpstreamNone:
		return Upstream{}, nil
	case caddyfile.UpstreamPassthrough:
		return Upstream{passthrough: true}, nil
	case caddyfile.UpstreamBasic:
		user, err := caddyfile.Resolve("username", c.Username)
		if err != nil {
			return Upstream{}, err
		}
		password, err := caddyfile.Resolve("password", c.Password)
		if err != nil {
			return Upstream{}, err
		}
		return Upstream{header: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}, nil
	case caddyfile.UpstreamBearer:
		token, err := caddyfile.Resolve("token", c.Token)
		return Upstream{header: []string{"Bearer " + token}}, err
	}
	return Upstream{}, fmt.Errorf("type %q: want none, passthrough, basic or bearer", c.Type)
}

// apply puts the credential into a request whose own was removed.
func (u Upstream) apply(h http.Header, c *authn.Credential) {
	switch {
	case u.header != nil:
		h["Authorization"] = u.header
	case u.passthrough && c.Scheme == authn.SchemeBearer:
		h["Authorization"] = []string{"Bearer " + c.Secret}
	case u.passthrough && c.Scheme == authn.SchemeBasic:
		h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))}
	}
}
