package credentials

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// Token gets the tokens of a registry that speaks the Docker token protocol:
// Docker Hub, GHCR, Quay, GitLab, Harbor, Azure Container Registry and others.
type Token struct {
	upstream.TokenConfig
	caddyfile.Trust

	// The login that is exchanged for tokens. Default: none; many registries give
	// tokens for public images to everybody.
	LoginRaw json.RawMessage `json:"login,omitempty" caddy:"namespace=registry_auth.upstream_credentials inline_key=type"`

	*upstream.Tokens `json:"-"`
	held
}

// CaddyModule returns the Caddy module information.
func (Token) CaddyModule() caddy.ModuleInfo {
	return info("token", func() caddy.Module { return new(Token) })
}

// UnmarshalCaddyfile reads
//
//	token <registry> [<user> <password>] {
//		login        <module> …
//		realm        <url>
//		service      <name>
//		acr_exchange [<tenant>]
//		trust_pool   <module> …
//	}
func (t *Token) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	switch args := d.RemainingArgs(); len(args) {
	case 3:
		if err := caddyfile.AbsoluteFile(d, "token", args[2]); err != nil {
			return err
		}
		t.LoginRaw = caddyconfig.JSONModuleObject(Basic{Username: args[1], Password: args[2]}, "type", "basic", nil)
		fallthrough
	case 1:
		t.Registry = args[0]
	default:
		return d.ArgErr()
	}
	options := caddyfile.Options{
		"login":        t.login,
		"realm":        caddyfile.Text(&t.Realm),
		"service":      caddyfile.Text(&t.Service),
		"acr_exchange": t.acr,
		"trust_pool":   caddyfile.TrustPool(&t.CARaw),
	}
	if err := options.Read(d, "token"); err != nil {
		return err
	}
	return caddyfile.Valid(d, &t.TokenConfig)
}

func (t *Token) login(d *caddycf.Dispenser) error {
	if t.LoginRaw != nil {
		return caddyfile.Twice(d, "login")
	}
	raw, module, err := caddyfile.UpstreamCredentials(d)
	if err != nil {
		return err
	}
	if _, ok := module.(upstream.Logins); !ok {
		return d.Errf("login: want basic, bearer, exec, file or docker_config")
	}
	t.LoginRaw = raw
	return nil
}

func (t *Token) acr(d *caddycf.Dispenser) error {
	if t.ACR {
		return caddyfile.Twice(d, "acr_exchange")
	}
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.ArgErr()
	}
	if t.ACR = true; len(args) == 1 {
		t.ACRTenant = args[0]
	}
	return nil
}

var errNoLogin = errors.New("login: want basic, bearer, exec, file or docker_config")

// Provision prepares the login; the registry is asked when a token is needed.
func (t *Token) Provision(ctx caddy.Context) error {
	transport, err := t.Transport(ctx)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	settings := []any{t.TokenConfig, t.CARaw, t.LoginRaw}
	var login upstream.Logins
	if t.LoginRaw != nil {
		module, err := ctx.LoadModule(t, "LoginRaw")
		if err != nil {
			return fmt.Errorf("token: login: %w", err)
		}
		var ok bool
		if login, ok = module.(upstream.Logins); !ok {
			return fmt.Errorf("token: %w", errNoLogin)
		}
		switch fixed := module.(type) { // with the values of placeholders
		case *Basic:
			settings = append(settings, fixed.login)
		case *Bearer:
			settings = append(settings, fixed.login)
		}
	}
	t.Tokens, err = hold(&t.held, "token", settings, func() (*upstream.Tokens, error) {
		return upstream.NewTokens(t.TokenConfig, login, transport, nil)
	})
	return err
}
