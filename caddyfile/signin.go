package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// signInLine reads the lines of an oidc block that are about signing in with
// the browser, and reports whether it is one.
func signInLine(d *caddyfile.Dispenser, c *authn.SignInConfig) (known bool, err error) {
	switch d.Val() {
	case "client_secret":
		return true, secret(d, &c.ClientSecret)
	case "sign_in":
		return true, scalar(d, &c.SignIn)
	case "name":
		return true, scalar(d, &c.DisplayName)
	case "scopes":
		return true, appendList(d, &c.Scopes)
	case "extra_auth_params":
		return true, authParams(d, c)
	case "userinfo":
		return true, scalar(d, &c.UserInfo)
	case "subject_alias":
		return true, scalar(d, &c.SubjectAlias)
	}
	return recheckLine(d, &c.RecheckConfig)
}

// recheckLine reads the lines that are about asking whether people are still
// there, and reports whether it is one.
func recheckLine(d *caddyfile.Dispenser, c *authn.RecheckConfig) (known bool, err error) {
	switch d.Val() {
	case "recheck":
		return true, duration(d, &c.Recheck, "off")
	case "recheck_grace":
		return true, duration(d, &c.RecheckGrace, "off")
	case "sign_in_max_age":
		return true, duration(d, &c.SignInMaxAge, "off")
	}
	return false, nil
}

// secret reads a secret, which is best a placeholder.
func secret(d *caddyfile.Dispenser, to *string) error {
	name := d.Val()
	if err := scalar(d, to); err != nil {
		return err
	}
	if strings.Contains(*to, "{http.request.") {
		return d.Errf("%s: {file.…} with a relative path means a request header of the path matcher here; write an absolute path, {file./run/secrets/name}", name)
	}
	return nil
}

// authParams reads pairs of names and values.
func authParams(d *caddyfile.Dispenser, c *authn.SignInConfig) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args)%2 != 0 {
		return d.Err("extra_auth_params: want pairs of a name and a value")
	}
	if c.ExtraAuthParams == nil {
		c.ExtraAuthParams = map[string]string{}
	}
	for i := 0; i < len(args); i += 2 {
		if _, twice := c.ExtraAuthParams[args[i]]; twice {
			return d.Errf("extra_auth_params: %s is given twice", args[i])
		}
		c.ExtraAuthParams[args[i]] = args[i+1]
	}
	return nil
}
