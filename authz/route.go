package authz

import "strings"

// Route is an endpoint of the registry API (distribution-spec 1.1, section
// "Endpoints").
type Route uint8

// The endpoints. The zero Route is none of them.
const (
	RouteBase      Route = iota + 1 // /v2/
	RouteCatalog                    // /v2/_catalog
	RouteTags                       // /v2/<name>/tags/list
	RouteManifest                   // /v2/<name>/manifests/<tag or digest>
	RouteBlob                       // /v2/<name>/blobs/<digest>
	RouteReferrers                  // /v2/<name>/referrers/<digest>
	RouteUploads                    // /v2/<name>/blobs/uploads/
	RouteUpload                     // /v2/<name>/blobs/uploads/<id>
	RouteExtension                  // configured, see Extension
)

// routes says of each endpoint how it is called in logs and metrics, and
// which methods it takes. Those of an extension are its own.
var routes = [...]struct {
	label   string
	methods methodSet
}{
	0:              {"unknown", 0},
	RouteBase:      {"base", methodsRead},
	RouteCatalog:   {"catalog", methodsRead},
	RouteTags:      {"tags", methodsRead},
	RouteManifest:  {"manifest", methodsRead | methodPut | methodDelete},
	RouteBlob:      {"blob", methodsRead | methodDelete},
	RouteReferrers: {"referrers", methodsRead},
	RouteUploads:   {"uploads", methodPost},
	RouteUpload:    {"upload", methodGet | methodPatch | methodPut | methodDelete},
	RouteExtension: {"extension", 0},
}

// String returns a short word, fit for a metric's label.
func (r Route) String() string {
	if int(r) >= len(routes) {
		return routes[0].label
	}
	return routes[r].label
}

// locate reads what stands below "/v2/" from its end: a repository may be
// called "pub/manifests/secret", so that only the last words of a path say
// what it is, and they say it unambiguously. It returns the endpoint, the
// repository and the last segment, none of them checked; no endpoint if the
// path has the form of none.
func locate(rest string) (route Route, name, last string) {
	switch rest {
	case "":
		return RouteBase, "", ""
	case "_catalog":
		return RouteCatalog, "", ""
	}
	head, last, ok := cutLast(rest)
	if !ok {
		return 0, "", ""
	}
	name, keyword, ok := cutLast(head)
	if !ok {
		return 0, "", ""
	}
	switch keyword {
	case "manifests":
		return RouteManifest, name, last
	case "blobs":
		if last == "uploads" {
			return RouteUploads, name, ""
		}
		return RouteBlob, name, last
	case "referrers":
		return RouteReferrers, name, last
	case "tags":
		if last == "list" {
			return RouteTags, name, ""
		}
	case "uploads":
		name, ok = strings.CutSuffix(name, "/blobs")
		switch {
		case !ok:
		case last == "":
			return RouteUploads, name, ""
		default:
			return RouteUpload, name, last
		}
	}
	return 0, "", ""
}

// cutLast cuts s at its last slash.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
