package runner

import (
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// isLogin reports whether text starts with the name of somebody in the cast.
func isLogin(text string) bool {
	name, _, _ := strings.Cut(text, ":")
	return slices.Contains(stage.People, name) || name == "dave" || isAnonymous(name) || strings.HasPrefix(name, "robot$")
}

func isAnonymous(name string) bool { return name == "anonymous" || name == "anon" }

// scopes turns the accesses of a token placeholder, "team/app:pull,push+
// team/base:pull", into scopes of the token protocol.
func scopes(accesses string) []string {
	var out []string
	for _, access := range strings.Split(accesses, "+") {
		switch {
		case access == "":
		case strings.HasPrefix(access, "registry:"), strings.HasPrefix(access, "repository:"):
			out = append(out, access)
		default:
			out = append(out, "repository:"+access)
		}
	}
	return out
}

// access is one entry of the claim of that name.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func parseScope(scope string) access {
	first, last := strings.Index(scope, ":"), strings.LastIndex(scope, ":")
	return access{
		Type:    scope[:first],
		Name:    scope[min(first+1, last):last],
		Actions: strings.Split(scope[last+1:], ","),
	}
}
