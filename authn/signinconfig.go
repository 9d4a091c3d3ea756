package authn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SignInConfig is the part of an [OIDCConfig] that is about signing in with a
// browser.
type SignInConfig struct {
	// The secret of the client. With it people can sign in with the browser.
	// Use a placeholder such as `{env.X}` or `{file./run/secrets/x}`.
	ClientSecret string `json:"client_secret,omitempty"`

	// Whether people can sign in with the browser: `on` or `off`. Default:
	// `on` if there is a client secret. A public client needs `on`.
	SignIn string `json:"sign_in,omitempty"`

	// What the provider is called on the page where people choose one.
	// Default: the host of the issuer.
	DisplayName string `json:"name,omitempty"`

	// The scopes to ask for. Default: openid, profile, email, and groups if
	// the provider says that it has it. `offline_access` makes most providers
	// give a refresh token.
	Scopes []string `json:"scopes,omitempty"`

	// Further parameters of the request to the provider, such as
	// `prompt=select_account`.
	ExtraAuthParams map[string]string `json:"extra_auth_params,omitempty"`

	// `off` leaves the provider's userinfo endpoint alone: the ID token has
	// all that is needed. Default: `on`.
	UserInfo string `json:"userinfo,omitempty"`

	RecheckConfig

	// The issuer that the provider had before it moved. Its users stay who
	// they are, if their subjects (`sub`) are the same there.
	SubjectAlias string `json:"subject_alias,omitempty"`
}

// SwitchOn and SwitchOff are the values of switches such as
// [SignInConfig.SignIn].
const (
	SwitchOn  = "on"
	SwitchOff = "off"
)

// SignsIn reports whether people can sign in with the browser.
func (c SignInConfig) SignsIn() bool {
	return c.SignIn == SwitchOn || c.SignIn == "" && c.ClientSecret != ""
}

// IdentityIssuer is the issuer that the provider's users are known by.
func (c OIDCConfig) IdentityIssuer() string {
	if c.SubjectAlias != "" {
		return c.SubjectAlias
	}
	return c.Issuer
}

// ownParams are the parameters that nobody else may set (RFC 6749 §4.1.1,
// RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
var ownParams = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri",
}

func (c SignInConfig) checkSignIn(clientID string) error {
	for name, value := range map[string]string{"sign_in": c.SignIn, "userinfo": c.UserInfo} {
		if value != "" && value != SwitchOn && value != SwitchOff {
			return fmt.Errorf("%s %.20q: want on or off", name, value)
		}
	}
	if err := c.checkRechecks(); err != nil {
		return err
	}
	if c.SignsIn() && clientID == "" {
		return errors.New("sign-in needs a client_id")
	}
	for name := range c.ExtraAuthParams {
		if name == "" || slices.Contains(ownParams, strings.ToLower(name)) {
			return fmt.Errorf("extra_auth_params: %q is set by the gateway", name)
		}
	}
	for _, scope := range c.Scopes {
		// RFC 6749 §3.3
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("scopes: %.60q is not a scope", scope)
		}
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, "openid") {
		return errors.New("scopes: openid is missing, without it there is no ID token")
	}
	return nil
}
