package portal_test

import (
	"net/http"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestSignInIsNotForOtherClients: whose ID tokens are accepted when they are
// shown by themselves cannot be put into a browser's sign-in.
func TestSignInIsNotForOtherClients(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(object)
		in    bool
	}{
		"ours":               {func(object) {}, true},
		"ours, and says so":  {func(c object) { c["azp"] = "registry" }, true},
		"an authorized one":  {func(c object) { c["azp"] = "cli" }, false},
		"no name of one":     {func(c object) { c["azp"] = 7 }, false},
		"for an audience":    {func(c object) { c["aud"] = "registry-api" }, false},
		"for both audiences": {func(c object) { c["aud"], c["azp"] = []string{"registry-api", "registry"}, "registry" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, func(c *authn.OIDCConfig) {
				c.AuthorizedParties, c.Audiences = []string{"cli"}, []string{"registry-api"}
			})
			f.idp.set(func() { f.idp.token = c.spoil })
			p := f.browser()
			if !c.in {
				p.refused(p.get("/auth/"), http.StatusForbidden, "Sign in again")
				return
			}
			if p.signIn(); sessionCount(f.state) != 1 {
				t.Error("not signed in")
			}
		})
	}
}
