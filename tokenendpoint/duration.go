package tokenendpoint

import "github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"

// Duration is a time span in a configuration.
type Duration = duration.Duration
