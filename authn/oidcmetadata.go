package authn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// metadata is what a provider's discovery document says (OpenID Connect
// Discovery 1.0 §3, RFC 9207 §3, RP-Initiated Logout 1.0 §2.1).
type metadata struct {
	JWKSURI       string   `json:"jwks_uri"`
	Authorization string   `json:"authorization_endpoint"`
	TokenEndpoint string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
}

// discoveryPause is how long after a failure nobody asks again.
const discoveryPause = 2 * time.Second

// metadata returns the discovery document, or [ErrUnavailable]. It is read
// when it is needed first; after a failure the next who needs it tries again.
func (a *OIDC) metadata(ctx context.Context) (*metadata, error) {
	d := a.source
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.document == nil && d.err != nil && d.now().Sub(d.failed) < discoveryPause {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, d.err)
	}
	// Somebody who gives up waiting must not spoil it for those behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTimeout)
	defer cancel()
	if err := d.refresh(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d.document, nil
}

// client describes us to the provider.
func (a *OIDC) client(m *metadata, redirectURI string) (*oauth2.Config, error) {
	for name, address := range map[string]string{"authorization_endpoint": m.Authorization, "token_endpoint": m.TokenEndpoint} {
		if err := a.source.checkEndpoint(name, address); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	c := &oauth2.Config{
		ClientID: a.config.ClientID, ClientSecret: a.config.ClientSecret, RedirectURL: redirectURI, Scopes: a.config.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.TokenEndpoint, AuthStyle: oauth2.AuthStyleInHeader},
	}
	// A code is good once: it is not for finding out what the provider takes.
	// Without a word on it, it is Basic (Discovery §3).
	post := slices.Contains(m.AuthMethods, "client_secret_post") && !slices.Contains(m.AuthMethods, "client_secret_basic")
	if post || c.ClientSecret == "" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"openid", "profile", "email"}
		if slices.Contains(m.Scopes, "groups") {
			c.Scopes = append(c.Scopes, "groups")
		}
	}
	return c, nil
}

// Reachable reports whether the provider answers: its discovery document is
// there, or was within the hour.
func (a *OIDC) Reachable(ctx context.Context) error {
	_, err := a.metadata(ctx)
	return err
}
