package authz

import (
	"net/netip"
	"slices"

	"cel.dev/cel-go/cel"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// variables gives an expression what it asks for.
type variables struct {
	facts
	action Action
}

// Parent implements CEL's Activation: there is no outer scope.
func (*variables) Parent() cel.Activation { return nil }

// ResolveName implements CEL's Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	p := v.principal
	if p == nil {
		p = authn.Anonymous
	}
	switch name {
	case "claims":
		if p.Claims == nil {
			return map[string]any{}, true
		}
		return p.Claims, true
	case "principal.kind":
		return string(p.Kind), true
	case "principal.name":
		return p.Name, true
	case "principal.issuer":
		return p.Issuer, true
	case "principal.subject":
		return p.Subject, true
	case "principal.groups":
		if p.GroupsUnread {
			return nil, false // it cannot be evaluated
		}
		return list(p.Groups), true
	case "principal.roles":
		if p.RolesUnread {
			return nil, false
		}
		return list(slices.Concat(p.Roles, p.HeaderRoles)), true
	case "principal.authenticator":
		return p.Authenticator, true
	case "principal.credential":
		return p.Credential, true
	}
	return v.request(name)
}

func (v *variables) request(name string) (any, bool) {
	q := &v.query
	switch name {
	case "request.action":
		return v.action.String(), true
	case "request.type":
		return resourceType(q.Type), true
	case "request.repository":
		return q.Repository, true
	case "request.reference":
		if q.Tag != "" {
			return q.Tag, true
		}
		return q.Digest, true
	case "request.tag":
		return q.Tag, true
	case "request.digest":
		return q.Digest, true
	case "request.ip":
		return addrText(q.Remote), true
	case "request.user_agent":
		return q.UserAgent[:min(len(q.UserAgent), maxAgent)], true
	case "request.method":
		return q.Method, true
	case "request.time":
		return q.Time, true
	}
	return nil, false
}

// list keeps CEL from seeing a nil list as null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
