package tokenendpoint

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// oauth2 answers POST, the OAuth2 form of the token request. All parameters
// are in the form; an Authorization header and "account" mean nothing here.
func (x *exchange) oauth2() {
	p, f := x.form()
	if f == nil {
		f = x.read(p)
	}
	if f == nil {
		f = x.authorize(p)
	}
	if f != nil {
		x.fail(f)
		return
	}
	x.issue(true)
}

// form reads the body.
func (x *exchange) form() (parameters, *failure) {
	r := x.r
	if r.URL.RawQuery != "" {
		return nil, badRequest("the parameters of a POST belong into its body")
	}
	if values := r.Header["Content-Type"]; len(values) != 1 {
		return nil, badRequest("the body must be of type application/x-www-form-urlencoded")
	} else if kind, _, err := mime.ParseMediaType(values[0]); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("the body must be of type application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, r.Body, maxForm))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		f := badRequest("the body is larger than 64 KiB")
		f.status, f.code = http.StatusRequestEntityTooLarge, answer.CodeSizeInvalid
		return nil, f
	case err != nil:
		return nil, badRequest("the body can't be read")
	}
	p, err := parseParameters(string(body))
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return p, nil
}

// authorize authenticates by the grant that is shown.
func (x *exchange) authorize(p parameters) *failure {
	switch p.get("grant_type") {
	case "password":
		if f := x.password(p); f != nil {
			return f
		}
		return x.login(p.get("access_type") == "offline")
	case "refresh_token":
		return x.refresh(p)
	case "":
		return badRequest("the parameter \"grant_type\" is missing")
	}
	if x.endpoint.Identity != nil {
		return unsupportedGrant("the grant type is not supported; use \"password\" or \"refresh_token\"")
	}
	return unsupportedGrant("the grant type is not supported; use \"password\"")
}

// password authenticates the holder of a user name and a secret (RFC 6749
// §4.3).
func (x *exchange) password(p parameters) *failure {
	x.grant = GrantPassword
	credential := &authn.Credential{
		Scheme: authn.SchemeBasic, Username: p.get("username"), Secret: p.get("password"),
		Remote: x.endpoint.ClientIP(x.r),
	}
	if credential.Username == "" && credential.Secret == "" {
		return badRequest("the parameters \"username\" and \"password\" are missing")
	}
	return x.authenticate(credential)
}
