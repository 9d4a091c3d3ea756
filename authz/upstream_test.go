package authz

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Models of how two registries find out what a path is about, to compare
// ParseRequest with. Both use a router that decodes the path once, redirects
// to the cleaned path if that is another one, and then takes the first route
// whose anchored expression matches.

type upstreamRoute struct {
	route Route
	re    *regexp.Regexp // groups: name, reference
}

// match returns every route that fits: the test wants all of them to agree.
func match(routes []upstreamRoute, decoded string) (found []Request) {
	for _, r := range routes {
		m := r.re.FindStringSubmatch(decoded)
		if m == nil {
			continue
		}
		req := Request{Route: r.route}
		if len(m) > 1 {
			req.Repository = m[1]
		}
		if len(m) > 2 {
			if r.route == RouteUpload {
				req.Upload = m[2]
			} else {
				req.Reference = m[2]
			}
		}
		found = append(found, req)
	}
	return found
}

// cleanPath is what such a router redirects to; it keeps a trailing slash.
func cleanPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// Distribution 3.1.2, registry/api/v2/descriptors.go with the expressions of
// its reference package 0.6.0, and a trailing slash optional everywhere.
var distributionRoutes = func() []upstreamRoute {
	const (
		component = `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
		label     = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
		domain    = `(?:` + label + `(?:\.` + label + `)*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?`
		name      = `((?:` + domain + `/)?` + component + `(?:/` + component + `)*)`
		tag       = `[\w][\w.-]{0,127}`
		digest    = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][[:xdigit:]]{32,}`
	)
	return compileRoutes(map[Route]string{
		RouteBase:     `/v2`,
		RouteTags:     `/v2/` + name + `/tags/list`,
		RouteManifest: `/v2/` + name + `/manifests/(` + tag + `|` + digest + `)`,
		RouteBlob:     `/v2/` + name + `/blobs/(` + digest + `)`,
		RouteUploads:  `/v2/` + name + `/blobs/uploads`,
		RouteUpload:   `/v2/` + name + `/blobs/uploads/([a-zA-Z0-9-_.=]+)`,
		RouteCatalog:  `/v2/_catalog`,
	}, `[/]?`)
}()

// zot, pkg/api/routes.go: exact paths, and references that are any segment.
var zotRoutes = func() []upstreamRoute {
	const (
		component = `[a-z0-9]+(?:(?:(?:[._]|__|[-]*)[a-z0-9]+)+)?`
		name      = `(` + component + `(?:(?:/` + component + `)+)?)`
		any       = `([^/]+)`
	)
	return compileRoutes(map[Route]string{
		RouteBase:      `/v2/`,
		RouteTags:      `/v2/` + name + `/tags/list`,
		RouteManifest:  `/v2/` + name + `/manifests/` + any,
		RouteBlob:      `/v2/` + name + `/blobs/` + any,
		RouteUploads:   `/v2/` + name + `/blobs/uploads/`,
		RouteUpload:    `/v2/` + name + `/blobs/uploads/` + any,
		RouteReferrers: `/v2/` + name + `/referrers/` + any,
		RouteCatalog:   `/v2/_catalog`,
		RouteExtension: `/v2/_(?:oci|zot)/ext/.+`,
	}, ``)
}()

func compileRoutes(patterns map[Route]string, optional string) (list []upstreamRoute) {
	for route := RouteBase; route <= RouteExtension; route++ {
		if p, ok := patterns[route]; ok {
			list = append(list, upstreamRoute{route, regexp.MustCompile(`^` + p + optional + `$`)})
		}
	}
	return list
}

// Every path of up to five words that mean something somewhere, against both
// models: who reads which of them as what.
func TestRequestCombinations(t *testing.T) {
	words := []string{"a", "manifests", "blobs", "uploads", "tags", "list", "referrers", someDigest, "_catalog", ""}
	ext := testExtensions(t)
	accepted := 0
	var extend func(path string, depth int)
	extend = func(path string, depth int) {
		for _, word := range words {
			next := path + "/" + word
			for _, method := range []string{"GET", "POST"} {
				if r, err := ParseRequest(method, &url.URL{Path: next}, nil, ext); err == nil {
					accepted++
					checkUpstream(t, r, distributionRoutes)
					checkUpstream(t, r, zotRoutes)
				}
			}
			if depth > 1 {
				extend(next, depth-1)
			}
		}
	}
	extend("/v2", 5)
	if accepted < 1000 {
		t.Errorf("only %d paths were accepted", accepted)
	}
}
