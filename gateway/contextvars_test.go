package gateway

import (
	"context"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// contextWithVars is a request's context as Caddy's server makes it.
func contextWithVars(ctx context.Context, vars map[string]any) context.Context {
	return context.WithValue(ctx, caddyhttp.VarsCtxKey, vars)
}
