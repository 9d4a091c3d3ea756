package authz

import (
	"fmt"
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

// RequestError says why a request is refused before anybody looks at who
// sent it: it is not well-formed, or not part of the registry API.
//
// The values that ParseRequest returns are shared; do not change them.
type RequestError struct {
	// Status is the HTTP status of the answer.
	Status int

	// Code is an error code of the distribution-spec, such as NAME_INVALID.
	Code string

	// Message tells a person what is wrong. It never repeats what the client
	// sent.
	Message string

	// Allow is the value of the Allow header that belongs to status 405
	// (RFC 9110 §15.5.6), empty otherwise.
	Allow string
}

// Error returns the code and the message.
func (e *RequestError) Error() string { return e.Code + ": " + e.Message }

func badRequest(code, message string) *RequestError {
	return &RequestError{Status: http.StatusBadRequest, Code: code, Message: message}
}

// One value per reason, so that a refusal allocates nothing.
var (
	errForm = &RequestError{
		Status:  http.StatusUnsupportedMediaType,
		Code:    "UNSUPPORTED",
		Message: "form and multipart bodies are not part of the registry API",
	}
	errUnknownRoute = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "UNSUPPORTED",
		Message: "no such endpoint in the registry API",
	}
	errExtension = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "UNSUPPORTED",
		Message: "this extension of the registry API is not enabled here",
	}

	errPathEncoded = badRequest("NAME_INVALID",
		"the path must not contain percent-encoding, other than %3A for the colon of a digest")
	errPathCharacter = badRequest("NAME_INVALID",
		"the path contains a character that no registry path has")
	errPathSegment = badRequest("NAME_INVALID",
		`the path must not contain empty, "." or ".." segments, nor end in a slash`)

	errName = badRequest("NAME_INVALID",
		"a repository name has at most 255 characters: components of lower-case letters and digits, "+
			`parted by ".", "_", "__" or dashes, and joined by "/"`)
	errDigest = badRequest("DIGEST_INVALID",
		"a digest is an algorithm, a colon and lower-case hexadecimal digits (64 for sha256, 128 for sha512)")
	errUploadID = badRequest("BLOB_UPLOAD_INVALID",
		`an upload id consists of letters, digits, "-", "_", "." and "="`)
	errTag = badRequest("MANIFEST_INVALID",
		`a tag has at most 128 letters, digits, "_", "." and "-", and starts with none of the last two`)
	// A tag that cannot exist is asked for: the answer is that of a tag that
	// does not exist, which is also what the conformance tests want.
	errTagUnknown = &RequestError{
		Status:  http.StatusNotFound,
		Code:    "MANIFEST_UNKNOWN",
		Message: "no manifest can have this tag: " + errTag.Message,
	}

	errQuery = badRequest("UNSUPPORTED",
		"the query is not well-formed: it must be percent-encoded, without semicolons and control characters")
	errQueryLong = &RequestError{
		Status:  http.StatusRequestURITooLong,
		Code:    "UNSUPPORTED",
		Message: "the query is longer than 16 KiB",
	}
	errQueryKey = badRequest("UNSUPPORTED",
		"the names of registry parameters must be written in plain lower-case letters")
	errQueryRepeated = badRequest("UNSUPPORTED",
		"a parameter is given twice of which the registry API knows one")
	errQueryTags = &RequestError{
		Status:  http.StatusRequestURITooLong,
		Code:    "UNSUPPORTED",
		Message: "more than 100 tags in one request",
	}
	errPagination = badRequest("PAGINATION_NUMBER_INVALID",
		"n must be a number from 0 to 9999999")
)

// methodSet is a set of HTTP methods.
type methodSet uint8

const (
	methodGet methodSet = 1 << iota
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete

	methodsRead = methodGet | methodHead
	methodsAll  = methodsRead | methodPost | methodPut | methodPatch | methodDelete
)

var methodNames = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// methodOf returns the set of one method, or the empty set for a method that
// the registry API does not use. Methods are case-sensitive (RFC 9110 §9.1).
func methodOf(name string) methodSet {
	switch name {
	case http.MethodGet:
		return methodGet
	case http.MethodHead:
		return methodHead
	case http.MethodPost:
		return methodPost
	case http.MethodPut:
		return methodPut
	case http.MethodPatch:
		return methodPatch
	case http.MethodDelete:
		return methodDelete
	}
	return 0
}

// parseMethods makes a set of names, for the configuration.
func parseMethods(names []string) (methodSet, error) {
	var set methodSet
	for _, name := range names {
		m := methodOf(name)
		if m == 0 {
			return 0, fmt.Errorf("unknown method %q: want one of %s", name, methodsAll)
		}
		set |= m
	}
	return set, nil
}

// String joins the names as the Allow header wants them.
func (s methodSet) String() string {
	var names []string
	for i, name := range methodNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// refusal is the answer to a method outside of the set.
func (s methodSet) refusal() *RequestError {
	return &RequestError{
		Status:  http.StatusMethodNotAllowed,
		Code:    "UNSUPPORTED",
		Message: "this endpoint takes " + s.String() + " only",
		Allow:   s.String(),
	}
}

// isForm reports whether any of the Content-Type values announces a form.
//
// Distribution reads "mount" and "from" of a form in the body as it reads
// those in the query, where we look for them; so no form may pass. Servers
// differ in what they make of odd spelling and of several headers, hence
// the values are not parsed: a form is what anybody could take for one.
func isForm(contentTypes []string) bool {
	for _, value := range contentTypes {
		bare := strings.Map(func(r rune) rune {
			switch {
			case r <= ' ' || r > '~':
				return -1
			case 'A' <= r && r <= 'Z':
				return r + 'a' - 'A'
			}
			return r
		}, value)
		if strings.Contains(bare, "form-urlencoded") || strings.Contains(bare, "multipart/") {
			return true
		}
	}
	return false
}

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
