package portal

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// deviceIssued is what a client gets that was let in: an identity token, or a
// personal access token where there are none (RFC 6749 §5.1, RFC 8693 §2.2.1).
type deviceIssued struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	IssuedType   string `json:"issued_token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int    `json:"expires_in,omitempty"`
	Username     string `json:"username"`
	Service      string `json:"service"`
}

// deviceSecret makes the secret for a login that somebody approved.
func (x *exchange) deviceSecret(v *state.DeviceLogin, code string) (any, error) {
	o := &x.portal.options
	// What ends all that the person has ends what was approved before, too.
	p, err := o.State.Owning(v.User, v.Created)
	if err != nil {
		return nil, err
	}
	p.Credential, p.CredentialID, p.Issued = credentialSession, v.Session, v.Created
	if u, ok := o.State.Users.Get(v.User); ok {
		p.Authenticator = u.Value.Authenticator
	}
	answer := deviceIssued{Username: p.Name, Service: o.Service, TokenType: "Bearer", IssuedType: "urn:ietf:params:oauth:token-type:access_token"}
	if o.Logins == nil {
		return x.deviceAccessToken(answer, v, p, code)
	}
	from := x.client()
	secret, err := o.Logins.IssueFor(x.r.Context(), p, v.ProviderSession, v.Limits, authn.TokenClient{
		Service: o.Service, ClientID: deviceName(v), Remote: from.remote, Agent: from.agent, RequestID: from.requestID,
	})
	if err != nil {
		return nil, err
	}
	answer.AccessToken, answer.RefreshToken = secret, secret
	// It is good for the token endpoint only (RFC 8693 §2.2.1).
	answer.TokenType, answer.IssuedType = "N_A", "urn:ietf:params:oauth:token-type:refresh_token"
	return answer, nil
}

func (x *exchange) deviceAccessToken(answer deviceIssued, v *state.DeviceLogin, p *authn.Principal, code string) (any, error) {
	who, err := x.portal.options.Manager.Caller(p)
	if err != nil {
		return nil, err
	}
	from := x.client()
	who.Remote, who.Agent, who.RequestID = from.remote, from.agent, from.requestID
	who.Confirm() // by letting the device in
	in := management.NewToken{TokenSettings: management.TokenSettings{Name: sprintf(txtDeviceToken, deviceName(v), spelled(code))}}
	if v.Limits != nil {
		list := make([]management.Permission, len(v.Limits))
		for i, l := range v.Limits {
			list[i] = management.Permission(l)
		}
		in.Permissions = &list
	}
	made, err := x.portal.options.Manager.CreateToken(x.r.Context(), who, in)
	if err != nil {
		return nil, err
	}
	answer.AccessToken = made.Secret
	if made.Expires != nil {
		answer.ExpiresIn = int(made.Expires.Sub(x.portal.options.Now()) / time.Second)
	}
	return answer, nil
}

// deviceName is how people know the client.
func deviceName(v *state.DeviceLogin) string {
	switch {
	case v.Name != "":
		return v.Name
	case v.ClientID != "":
		return v.ClientID
	}
	return txtUnknownClient
}

// revoke ends an identity token that is shown (RFC 7009). One that is not
// known is none any more, which is what was asked for.
func (x *exchange) revoke() (any, error) {
	if logins := x.portal.options.Logins; logins != nil {
		from := x.client()
		err := logins.Revoke(x.r.Context(), x.r.PostForm.Get("token"), authn.TokenClient{Remote: from.remote, RequestID: from.requestID})
		if err != nil {
			return nil, err
		}
	}
	return struct{}{}, nil
}
