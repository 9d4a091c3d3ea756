package gateway

import (
	"net/http"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Header values that never change, shared by all answers.
var (
	privateOnly = []string{"private"}
	varies      = []string{"Authorization, Cookie"}
)

// shared reports whether a cache in front may give the answer to anybody: it
// went to nobody in particular, and would go to nobody else otherwise.
func (x *exchange) shared() bool {
	rule := x.decision.Rule
	return x.principal.IsAnonymous() && rule != nil && !rule.Conditional() && x.request.Route != authz.RouteBase
}

// keepPrivate has caches that several people share keep nothing of an answer
// (RFC 9111 §5.2.2.7). Registries say of blobs that they never change, which is
// true, and that anybody may keep them, which only holds for open ones.
func keepPrivate(h http.Header) {
	if control := h["Cache-Control"]; control == nil {
		h["Cache-Control"] = privateOnly
	} else {
		h["Cache-Control"] = []string{privateControl(control)}
	}
	for name := range h {
		if sharedControl(name) {
			delete(h, name)
		}
	}
	if vary := h["Vary"]; vary == nil {
		h["Vary"] = varies
	} else {
		h["Vary"] = []string{strings.Join(vary, ", ") + ", " + varies[0]}
	}
}

// privateControl takes what is said to shared caches out of Cache-Control.
func privateControl(values []string) string {
	kept := []string{"private"}
	for directive := range strings.SplitSeq(strings.Join(values, ","), ",") {
		directive = strings.TrimSpace(directive)
		name, _, _ := strings.Cut(strings.ToLower(directive), "=")
		switch strings.TrimSpace(name) {
		case "", "public", "private", "s-maxage", "proxy-revalidate", "stale-while-revalidate", "stale-if-error":
		default:
			kept = append(kept, directive)
		}
	}
	return strings.Join(kept, ", ")
}

// sharedControl reports whether a header speaks to caches in front only, over
// the head of Cache-Control (RFC 9213 and older ones of nginx and CDNs).
func sharedControl(name string) bool {
	switch name {
	case "Surrogate-Control", "X-Accel-Expires", "Edge-Control", "Edge-Cache-Control":
		return true
	}
	return strings.HasSuffix(name, "Cdn-Cache-Control")
}
