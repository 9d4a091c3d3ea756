package demoidp

import "net/http"

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// serveDiscovery answers the provider's metadata (OpenID Connect Discovery §3).
func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	iss := p.cfg.Issuer
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                iss,
		"authorization_endpoint":                iss + "/auth",
		"token_endpoint":                        iss + "/token",
		"jwks_uri":                              iss + "/jwks",
		"device_authorization_endpoint":         iss + "/device/auth",
		"end_session_endpoint":                  iss + "/logout",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"scopes_supported":                      []string{"openid", "profile", "groups"},
		"code_challenge_methods_supported":      []string{"S256"},
		"id_token_signing_alg_values_supported": []string{algRSA, algEC},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post"},
		"grant_types_supported": []string{
			"authorization_code", "refresh_token", "client_credentials", "password", deviceGrant,
		},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	})
}
