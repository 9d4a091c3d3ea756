package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// routeLevel is what a request to a route beside the registry API needs. Who
// has a level has those below it.
type routeLevel int

const (
	routeRead routeLevel = iota
	routeWrite
	routeAdmin
	routeLevels // how many there are
)

// routeAccess says who has which level, and which requests need it. The nil
// pointer lets everybody in who is signed in.
type routeAccess struct {
	subjects   [routeLevels]*authz.SubjectSet
	adminPaths []string // in lower case
}

// newRouteAccess compiles the settings; it returns nil if there are none.
func newRouteAccess(p *Provider) (*routeAccess, error) {
	if p.Read == nil && p.Write == nil && p.Admin == nil && p.AdminPaths == nil {
		return nil, nil
	}
	a := new(routeAccess)
	for level, setting := range [routeLevels]struct {
		name string
		list []string
	}{{"read", p.Read}, {"write", p.Write}, {"admin", p.Admin}} {
		set, err := authz.NewSubjectSet(setting.list)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting.name, err)
		}
		if level > int(routeRead) && slices.Contains(setting.list, "anyone") {
			return nil, fmt.Errorf("%s: anyone needs no credential, which is for reading only", setting.name)
		}
		a.subjects[level] = set
	}
	for _, path := range p.AdminPaths {
		if plain, _ := strings.CutSuffix(path, "*"); !strings.HasPrefix(path, "/") || strings.Contains(plain, "*") || ambiguousPath(plain) != nil {
			return nil, fmt.Errorf("admin_path %q: want a path such as /admin/*", path)
		}
		a.adminPaths = append(a.adminPaths, strings.ToLower(path))
	}
	return a, nil
}

// needs returns what a request needs, or an error if servers could read its
// path in different ways.
func (a *routeAccess) needs(r *http.Request) (routeLevel, error) {
	if a == nil {
		return routeRead, nil
	}
	if err := ambiguousPath(r.URL.Path); err != nil {
		return 0, err
	}
	path := strings.ToLower(r.URL.Path)
	for _, admin := range a.adminPaths {
		prefix, open := strings.CutSuffix(admin, "*")
		// The folder itself counts as below it: /admin and /admin/ for /admin/*.
		if open && strings.HasPrefix(path+"/", prefix) || strings.TrimSuffix(path, "/") == strings.TrimSuffix(admin, "/") {
			return routeAdmin, nil
		}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return routeRead, nil
	}
	return routeWrite, nil
}

// allows reports whether a principal has a level, or one above it.
func (a *routeAccess) allows(p *authn.Principal, need routeLevel, policy *authz.Policy) bool {
	if a == nil {
		return !p.IsAnonymous()
	}
	return slices.ContainsFunc(a.subjects[need:], func(s *authz.SubjectSet) bool { return s.Has(p, policy) })
}

var errAmbiguousPath = errors.New("the path can be read in more than one way")

// ambiguousPath refuses decoded paths of which the server behind could make
// another one: matrix parameters, dot segments, empty segments, a second layer
// of encoding.
func ambiguousPath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, `;\%`) || strings.Contains(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errAmbiguousPath
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return errAmbiguousPath
		}
	}
	return nil
}
