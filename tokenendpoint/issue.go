package tokenendpoint

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// errTokenSize says that what a policy needs to know of a principal does not
// fit into a token.
var errTokenSize = fmt.Errorf("the token would be larger than %d bytes", authn.MaxRegistryToken)

// issued is a token and what it says.
type issued struct {
	token    string
	id       string
	granted  []authz.Access
	lifetime time.Duration
}

// issue answers with a token for who was authenticated.
func (x *exchange) issue(oauth bool) {
	t, err := x.mint()
	if errors.Is(err, errTokenSize) {
		f := badRequest("the token would be too large: ask for fewer scopes, or be a member of fewer groups")
		f.oauth, f.err = "invalid_scope", err
		x.fail(f)
		return
	}
	if err != nil {
		x.fail(unavailable(err))
		return
	}
	x.record(Record{
		Status: http.StatusOK, Granted: t.granted, TokenID: t.id, Expires: x.start.Add(t.lifetime),
		Err: x.withheld,
	})
	writeToken(x.w, x.r, t, oauth, x.identityToken)
}

// mint signs a token. Where it would be too large, the accesses asked for last
// are left out: clients ask again for what they miss.
func (x *exchange) mint() (issued, error) {
	e := x.endpoint
	t := issued{id: rand.Text(), granted: x.granted(), lifetime: x.lifetime()}
	claims := authn.RegistryClaims{
		Issuer: e.Issuer, Subject: authn.RegistrySubject(x.principal), Audience: x.service, ID: t.id,
		ExpiresAt: x.start.Add(t.lifetime).Unix(),
		// Registries whose clock is behind must not refuse a fresh token.
		NotBefore: x.start.Add(-keys.Leeway).Unix(), IssuedAt: x.start.Unix(), AsOf: x.asOf, History: x.history,
		Principal: authn.NewRegistryPrincipal(e.Policy.Relevant(x.principal)),
	}
	for {
		claims.Access = limits(t.granted)
		payload, err := json.Marshal(&claims)
		if err != nil {
			return issued{}, err
		}
		if len(payload)*4/3 < authn.MaxRegistryToken {
			t.token, err = e.Keys.Sign(payload)
			if err != nil || len(t.token) <= authn.MaxRegistryToken {
				return t, err
			}
		}
		if len(t.granted) == 0 {
			return issued{}, errTokenSize
		}
		t.granted = t.granted[:len(t.granted)*3/4]
	}
}

// granted intersects what was asked for with what is allowed.
func (x *exchange) granted() []authz.Access {
	granted := make([]authz.Access, 0, len(x.requested))
	q := authz.Query{
		Method: x.r.Method, Remote: x.endpoint.ClientIP(x.r),
		UserAgent: x.r.UserAgent(), Time: x.start,
	}
	for _, a := range x.requested {
		if a.Actions == 0 {
			continue // asks for nothing that exists
		}
		q.Type, q.Repository = a.Type, a.Name
		allowed := x.endpoint.Policy.Allowed(x.principal, &q)
		switch a.Type {
		case authz.TypeRepository:
			a.Actions &= allowed & (authz.Pull | authz.Push | authz.Delete)
		case authz.TypeRegistry:
			a.Actions = allowed & authz.List
		default:
			a.Actions = 0
		}
		if a.Actions != 0 {
			granted = append(granted, a)
		}
	}
	return granted
}

// lifetime of the token: no longer than the credential's, but never so short
// that it is over before its first use.
func (x *exchange) lifetime() time.Duration {
	lifetime := x.endpoint.Config.lifetime()
	if end := x.principal.Expires; !end.IsZero() {
		lifetime = min(lifetime, end.Sub(x.start).Truncate(time.Second))
	}
	return max(lifetime, minLifetime)
}

func limits(granted []authz.Access) []authn.Limit {
	list := make([]authn.Limit, len(granted))
	for i, a := range granted {
		list[i] = authn.Limit{Type: a.Type, Name: a.Name, Actions: a.ScopeActions()}
	}
	return list
}

// writeToken answers in the form of both specifications. There is no
// "issued_at": a client whose clock is wrong would compare it with its own.
func writeToken(w http.ResponseWriter, r *http.Request, t issued, oauth bool, identityToken string) {
	body := make([]byte, 0, 2*len(t.token)+256)
	body = append(body, `{"token":"`...)
	body = append(body, t.token...)
	body = append(body, `","access_token":"`...)
	body = append(body, t.token...)
	body = append(body, `","expires_in":`...)
	// Clients take a shorter time for a minute, or come back for each request.
	// Until then the leeway keeps the token good.
	body = strconv.AppendInt(body, int64(max(t.lifetime, keys.Leeway)/time.Second), 10)
	if oauth {
		// Types, names and actions need no escapes in JSON.
		body = append(body, `,"token_type":"Bearer","scope":"`...)
		body = append(body, authz.FormatScopes(t.granted)...)
		body = append(body, '"')
	}
	if identityToken != "" { // base62 needs no escapes either
		body = append(body, `,"refresh_token":"`...)
		body = append(body, identityToken...)
		body = append(body, '"')
	}
	body = append(body, "}\n"...)
	w.Header().Set("Pragma", "no-cache")
	answer.WriteJSON(w, r, http.StatusOK, body)
}
