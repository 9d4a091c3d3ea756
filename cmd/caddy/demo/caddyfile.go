package demo

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // the adapter "caddyfile"
)

//go:embed Caddyfile.tmpl
var caddyfileText string

var caddyfileTemplate = template.Must(template.New("Caddyfile").Parse(caddyfileText))

// caddyfile is what the demo fills into its Caddyfile.
type caddyfile struct {
	Dir       string // of Caddy's storage
	Gateway   string // URL
	Host      string // to bind: a site's host alone only matches requests
	Provider  string // URL of the issuer
	Client    string // the gateway's client_id at the provider
	Registry  string // host:port
	RobotHash string
	// AdminKeyHash is the stored form of the management API's key.
	AdminKeyHash string
}

func (c caddyfile) String() string {
	c.Dir = filepath.ToSlash(c.Dir)
	var b strings.Builder
	if err := caddyfileTemplate.Execute(&b, c); err != nil {
		panic(err) // the template and its data are both in this file
	}
	return b.String()
}

// runCaddy starts Caddy in this process with a Caddyfile.
func runCaddy(text string) error {
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		return fmt.Errorf("reading the demo's Caddyfile: %w", err)
	}
	for _, w := range warnings {
		return fmt.Errorf("reading the demo's Caddyfile: %s", w)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return nil
}
