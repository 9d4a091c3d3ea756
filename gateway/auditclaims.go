package gateway

import (
	"encoding/json"
	"slices"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// auditClaims are the claims of a principal that the audit log names: which
// job it was, where the principal is a workload.
type auditClaims struct {
	principal *authn.Principal
	names     []string
}

// any reports whether the principal has one of them.
func (c auditClaims) any() bool {
	return slices.ContainsFunc(c.names, func(name string) bool {
		_, ok := c.principal.Claim(name)
		return ok
	})
}

// MarshalLogObject writes them as texts of bounded length.
func (c auditClaims) MarshalLogObject(e zapcore.ObjectEncoder) error {
	for _, name := range c.names {
		if v, ok := c.principal.Claim(name); ok {
			e.AddString(name, bounded(claimText(v)))
		}
	}
	return nil
}

// claimText is a claim as a text: a string as it is, all else as JSON.
func claimText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "?" // claims were JSON before
	}
	return string(text)
}
