// Caddy with the registry_auth plugin: everything that "caddy" does (run,
// adapt, validate, …) and a "demo" command that shows the plugin at work.
package main

import (
	_ "time/tzdata" // for systems without a time zone database

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-registry-auth/caddy-registry-auth"
	_ "github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demo"
)

func main() {
	caddycmd.Main()
}
