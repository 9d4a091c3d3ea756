package authn

import "net/netip"

// IdentityTokensName is the name by which a chain must know the authenticator
// of identity tokens.
const IdentityTokensName = "identity_tokens"

// CredentialIdentityToken is the kind of credential that an identity token is:
// the refresh token of the Docker token protocol, which `docker login` keeps
// instead of a password.
const CredentialIdentityToken = "identity_token"

// SchemeIdentityToken is how an identity token comes: in the form of a token
// request (RFC 6749 §6) and in no other way.
const SchemeIdentityToken Scheme = "identity-token"

// TokenClient is a client that asks for an identity token or exchanges one.
type TokenClient struct {
	// Service is the registry that it is for, ClientID what the client calls
	// itself: anybody may call himself so.
	Service, ClientID string
	// Renew: the client keeps the token that the answer names, if it is
	// another one ("access_type=offline").
	Renew bool

	// Remote and Agent are the client's address and User-Agent, RequestID is
	// that of the access log.
	Remote    netip.Addr
	Agent     string
	RequestID string
}
