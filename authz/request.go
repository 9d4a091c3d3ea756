package authz

import (
	"net/http"
	"net/url"
	"strings"
)

// Request is a request to the registry API, taken apart. There is exactly
// one reading of it: Path and RawQuery are what must be forwarded, so that
// the registry acts on what was authorized.
type Request struct {
	// Method is the HTTP method, one of those that Route takes.
	Method string

	// Route is the endpoint.
	Route Route

	// Repository is the name of the repository that the request is about.
	// Empty for the base, the catalog and extensions of the whole registry.
	Repository string

	// Reference is the tag or the digest in the path of a manifest, the
	// digest of a blob or of referrers' subject; where an upload is finished,
	// the digest that the client says it has (query parameter "digest").
	Reference string

	// Upload is the id of the upload session.
	Upload string

	// Mount and From are the digest and the source repository of a
	// cross-repository mount. Both are set or none is.
	Mount, From string

	// Tags are the tags that a manifest push sets beside the one in its path
	// (query parameter "tag").
	Tags []string

	// Path is the path in canonical form. It needs no escaping.
	Path string

	// RawQuery is the query, byte for byte, less a mount that is not to be.
	RawQuery string

	extension *extension
}

// ParseRequest reads method, path, query and Content-Type of a request whose
// path IsRegistryPath. Errors are of type *RequestError; whoever gets one
// must not forward the request.
//
// It is strict. Registries clean, decode and fold paths, each in its own
// way, so only that is accepted which all of them read alike: the grammar of
// the distribution-spec, without any percent-encoding but the colon of a
// digest. Unknown endpoints are refused unless ext, which may be nil, has
// them.
func ParseRequest(method string, u *url.URL, h http.Header, ext *Extensions) (Request, error) {
	if isForm(h["Content-Type"]) {
		return Request{}, errForm
	}
	path, escaped, err := cleartext(u)
	if err != nil {
		return Request{}, err
	}
	r := Request{Method: method, Path: path}
	if err := r.readPath(ext); err != nil {
		return Request{}, diagnose(path, err)
	}
	if escaped && !strings.Contains(r.Reference, ":") {
		return Request{}, errPathEncoded
	}
	methods := routes[r.Route].methods
	if r.Route == RouteExtension {
		methods = r.extension.methods
	}
	if m := methodOf(method); m == 0 || methods&m == 0 {
		return Request{}, methods.refusal()
	}
	if r.Route == RouteManifest && !strings.Contains(r.Reference, ":") && !ValidTag(r.Reference) {
		if method == http.MethodPut {
			return Request{}, diagnose(path, errTag)
		}
		return Request{}, diagnose(path, errTagUnknown)
	}
	if u.RawQuery != "" {
		if err := r.readQuery(u.RawQuery); err != nil {
			return Request{}, err
		}
	}
	return r, nil
}

// readPath fills in what the path says. A tag is left unchecked, since the
// answer to a bad one depends on the method.
func (r *Request) readPath(ext *Extensions) *RequestError {
	rest, ok := strings.CutPrefix(r.Path, "/v2/")
	if !ok {
		if r.Path != "/v2" {
			return errUnknownRoute
		}
		r.Path, rest = "/v2/", ""
	}
	var last string
	r.Route, r.Repository, last = locate(rest)
	switch r.Route {
	case RouteBase, RouteCatalog:
		return nil
	case 0:
		return r.readExtension(rest, ext, errUnknownRoute)
	}
	if !ValidName(r.Repository) {
		return r.readExtension(rest, ext, errName)
	}
	switch r.Route {
	case RouteBlob, RouteReferrers:
		if !ValidDigest(last) {
			return errDigest
		}
		r.Reference = last
	case RouteManifest:
		if strings.Contains(last, ":") && !ValidDigest(last) {
			return errDigest
		}
		r.Reference = last
	case RouteUpload:
		if !validUploadID(last) {
			return errUploadID
		}
		r.Upload = last
	case RouteUploads:
		// "blobs/uploads" is answered with a redirect, or with 404, by
		// registries; clients mean this.
		if !strings.HasSuffix(r.Path, "/") {
			r.Path += "/"
		}
	}
	return nil
}

// Tag returns the tag in the path of a manifest; empty if it is a digest.
func (r *Request) Tag() string {
	if r.Route != RouteManifest || strings.Contains(r.Reference, ":") {
		return ""
	}
	return r.Reference
}

// Digest returns the digest that the request names; empty if it names none.
func (r *Request) Digest() string {
	if strings.Contains(r.Reference, ":") {
		return r.Reference
	}
	return ""
}

// Write reports whether the request may change something in the registry.
func (r *Request) Write() bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// DropMount makes a mount an ordinary upload: what is forwarded no longer
// names the source. The registry then answers 202, which every client takes,
// where a refusal ends the whole push in some (distribution-spec, end-11).
func (r *Request) DropMount() {
	r.Mount, r.From = "", ""
	r.RawQuery = withoutMount(r.RawQuery)
}
