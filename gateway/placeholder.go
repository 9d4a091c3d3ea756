package gateway

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// placeholder answers the placeholders that the handler adds:
//
//	{http.auth.user.id}           the principal's name
//	{http.auth.user.kind}         user, robot, workload or anonymous
//	{http.auth.user.groups}       comma-separated
//	{http.auth.user.roles}        comma-separated
//	{http.auth.user.subject}      "sub" at the identity provider
//	{http.auth.user.issuer}       "iss" of the identity provider
//	{http.auth.user.credential}   how it was proved
//	{http.registry_auth.action}   pull, push, delete or list
//	{http.registry_auth.repository}
//	{http.registry_auth.reference}
//
// They are computed when they are used: most requests use none.
func placeholder(key string, p *authn.Principal, request *authz.Request) (any, bool) {
	if name, ok := strings.CutPrefix(key, "http.auth.user."); ok {
		return principalField(name, p)
	}
	switch key {
	case "http.registry_auth.action":
		return request.Action().String(), true
	case "http.registry_auth.repository":
		return request.Repository, true
	case "http.registry_auth.reference":
		return request.Reference, true
	}
	return nil, false
}

func principalField(name string, p *authn.Principal) (any, bool) {
	switch name {
	case "id":
		return p.Name, true
	case "kind":
		return string(p.Kind), true
	case "groups":
		return strings.Join(p.Groups, ","), true
	case "roles":
		return strings.Join(p.Roles, ","), true
	case "subject":
		return p.Subject, true
	case "issuer":
		return p.Issuer, true
	case "credential":
		return p.Credential, true
	}
	return nil, false
}
