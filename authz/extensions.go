package authz

import (
	"fmt"
	"math/bits"
	"strings"
)

// Extension is an endpoint below /v2/ that the distribution-spec does not
// know but the registry behind us has, and that is to be let through.
type Extension struct {
	// Path is a pattern below /v2/. It starts with an underscore, as the
	// spec wants of extensions, or with "{name}/_", where {name} stands for
	// the repository that the endpoint is about. A last segment "*" takes
	// everything below. Examples: "_oci/ext/discover", "_zot/ext/*",
	// "{name}/_ext/*".
	Path string `json:"path,omitempty"`

	// Action is what a principal needs. On a repository: pull, push, delete
	// or list. On the registry as a whole: list, which is the right to read
	// the catalog, or manage.
	Action Action `json:"action,omitempty"`

	// Methods are the HTTP methods to let through. Default: GET and HEAD for
	// pull and list, all that the registry API knows for other actions.
	Methods []string `json:"methods,omitempty"`
}

// Extensions are the endpoints outside of the distribution-spec that
// ParseRequest takes. The nil value is none. It is immutable.
type Extensions struct {
	list []extension
}

type extension struct {
	path       string // without {name} and /*
	repository bool
	below      bool // everything below path, instead of path
	action     Action
	methods    methodSet
}

// NewExtensions checks a list of extensions and prepares it for matching. If
// several patterns fit a request, the first that takes its method counts.
func NewExtensions(list []Extension) (*Extensions, error) {
	exts := &Extensions{list: make([]extension, 0, len(list))}
	for _, e := range list {
		x, err := compileExtension(e)
		if err != nil {
			return nil, fmt.Errorf("extension %q: %w", e.Path, err)
		}
		exts.list = append(exts.list, x)
	}
	return exts, nil
}

func compileExtension(e Extension) (extension, error) {
	x := extension{action: e.Action}
	x.path, x.below = strings.CutSuffix(strings.TrimPrefix(e.Path, "/v2/"), "/*")
	x.path, x.repository = strings.CutPrefix(x.path, "{name}/")

	if !strings.HasPrefix(x.path, "_") || x.path == "_catalog" {
		return x, fmt.Errorf(`path must start with "_" or "{name}/_", below /v2/`)
	}
	if !validExtensionPath(x.path) {
		return x, fmt.Errorf(`path must consist of plain segments, with "*" as the last at most`)
	}

	allowed := List | Manage
	if x.repository {
		allowed = Pull | Push | Delete | List
	}
	if bits.OnesCount8(uint8(e.Action)) != 1 || !allowed.Has(e.Action) {
		return x, fmt.Errorf("action must be one of %s", allowed)
	}

	var err error
	if x.methods, err = parseMethods(e.Methods); err != nil {
		return x, err
	}
	if x.methods == 0 {
		x.methods = methodsRead
		if e.Action&(Pull|List) == 0 {
			x.methods = methodsAll
		}
	}
	return x, nil
}

// readExtension fills in what the path says if it is one of ext's, and
// returns otherwise, or a better error, if not.
func (r *Request) readExtension(rest string, ext *Extensions, otherwise *RequestError) *RequestError {
	// No component of a repository name starts with an underscore: the first
	// that does is where the name has ended.
	name, tail := "", rest
	if !strings.HasPrefix(rest, "_") {
		i := strings.Index(rest, "/_")
		if i < 0 {
			return otherwise
		}
		name, tail = rest[:i], rest[i+1:]
		if !ValidName(name) {
			return errName
		}
	}
	if !validExtensionPath(tail) {
		return otherwise
	}
	found := false
	for i := range ext.all() {
		e := &ext.list[i]
		if e.repository != (name != "") || !e.matches(tail) {
			continue
		}
		if found && e.methods&methodOf(r.Method) == 0 {
			continue
		}
		found = true
		r.Route, r.Repository, r.extension = RouteExtension, name, e
		if e.methods&methodOf(r.Method) != 0 {
			return nil
		}
	}
	if !found {
		return errExtension
	}
	return nil // refused for its method
}

func (x *Extensions) all() []extension {
	if x == nil {
		return nil
	}
	return x.list
}

func (e *extension) matches(tail string) bool {
	if !e.below {
		return tail == e.path
	}
	rest, ok := strings.CutPrefix(tail, e.path)
	return ok && strings.HasPrefix(rest, "/")
}

// validExtensionPath accepts segments that no server cleans or decodes.
func validExtensionPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || !all(segment, extSegment) {
			return false
		}
	}
	return true
}
