package registryauth

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// upstreamAuth is the credential that the registry behind the gateway sees.
type upstreamAuth struct {
	header      []string // a ready Authorization header, nil for none
	passthrough bool
}

// newUpstreamAuth resolves the secrets. A placeholder that is empty or
// unknown is an error: the registry would be asked without a credential.
func newUpstreamAuth(c *caddyfile.UpstreamAuth) (upstreamAuth, error) {
	if c == nil {
		return upstreamAuth{}, nil
	}
	switch c.Type {
	case "", caddyfile.UpstreamNone:
		return upstreamAuth{}, nil
	case caddyfile.UpstreamPassthrough:
		return upstreamAuth{passthrough: true}, nil
	case caddyfile.UpstreamBasic:
		user, err := caddyfile.Resolve("username", c.Username)
		if err != nil {
			return upstreamAuth{}, err
		}
		password, err := caddyfile.Resolve("password", c.Password)
		if err != nil {
			return upstreamAuth{}, err
		}
		return upstreamAuth{header: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}, nil
	case caddyfile.UpstreamBearer:
		token, err := caddyfile.Resolve("token", c.Token)
		return upstreamAuth{header: []string{"Bearer " + token}}, err
	}
	return upstreamAuth{}, fmt.Errorf("type %q: want none, passthrough, basic or bearer", c.Type)
}

// apply puts the credential into a request whose own was removed.
func (u upstreamAuth) apply(h http.Header, c *authn.Credential) {
	switch {
	case u.header != nil:
		h["Authorization"] = u.header
	case u.passthrough && c.Scheme == authn.SchemeBearer:
		h["Authorization"] = []string{"Bearer " + c.Secret}
	case u.passthrough && c.Scheme == authn.SchemeBasic:
		h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))}
	}
}
