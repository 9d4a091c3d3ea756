package migrate

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// aclEntry is an entry of an access list: what a request must match, and what
// may be done then (authz/acl.go of docker_auth).
type aclEntry struct {
	Match struct {
		Account *string           `yaml:"account"`
		Type    *string           `yaml:"type"`
		Name    *string           `yaml:"name"`
		IP      *string           `yaml:"ip"`
		Service *string           `yaml:"service"`
		Labels  map[string]string `yaml:"labels"`
	} `yaml:"match"`
	Actions []string `yaml:"actions"`
	Comment string   `yaml:"comment"`
}

// name calls an entry, for people to find it.
func (e *aclEntry) name(i int) string {
	text := fmt.Sprintf("acl entry %d", i+1)
	if e.Comment != "" {
		text += fmt.Sprintf(" (%.60s)", e.Comment)
	}
	return text
}

// condition is on what of a request the entry depends that robots know
// nothing of.
func (e *aclEntry) condition() string {
	var list []string
	if e.Match.IP != nil {
		list = append(list, "the address "+*e.Match.IP)
	}
	if e.Match.Service != nil {
		list = append(list, "the service "+*e.Match.Service)
	}
	if len(e.Match.Labels) > 0 {
		list = append(list, "labels")
	}
	return strings.Join(list, " and ")
}

// isCatalog reports whether the entry is about the list of all repositories.
func (e *aclEntry) isCatalog(account string) bool {
	return matches(e.Match.Type, authz.TypeRegistry, account) && matches(e.Match.Name, authz.CatalogName, account)
}

// actions are those on repositories; * is all that docker_auth knows.
func (e *aclEntry) actions() []string {
	all := []string{"pull", "push", "delete"}
	if slices.Contains(e.Actions, "*") {
		return all
	}
	return slices.DeleteFunc(all, func(a string) bool { return !slices.Contains(e.Actions, a) })
}

// matches is how docker_auth compares: a regular expression between slashes,
// or a pattern of [path.Match].
func matches(pattern *string, text, account string) bool {
	if pattern == nil {
		return true
	}
	p := strings.ReplaceAll(*pattern, "${account}", account)
	if isRegexp(p) {
		ok, err := regexp.MatchString(p[1:len(p)-1], text)
		return err == nil && ok
	}
	ok, err := path.Match(p, text)
	return err == nil && ok
}

func isRegexp(p string) bool { return len(p) > 2 && p[0] == '/' && p[len(p)-1] == '/' }

func isPattern(p string) bool { return isRegexp(p) || strings.ContainsAny(p, `*?[\`) }

var stars = regexp.MustCompile(`\*+`)

// ourPattern returns a name of docker_auth as a pattern of ours. There ** is
// the same as *: part of a segment.
func ourPattern(name, account string) (string, bool) {
	name = strings.ReplaceAll(name, "${account}", account)
	if isRegexp(name) || strings.ContainsAny(name, `?[\$`) {
		return "", false
	}
	pattern := stars.ReplaceAllString(name, "*")
	return pattern, authz.CheckPattern(pattern) == nil
}
