package management

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// router finds routes by path and method. Paths are compared segment by
// segment as they were sent: an escaped slash does not part segments.
type router struct {
	bySize map[int][]*resource
}

// resource is a path with its methods.
type resource struct {
	segments []string
	methods  map[string]*route
}

func newRouter(routes []route) *router {
	t := &router{bySize: map[int][]*resource{}}
	for i := range routes {
		r := &routes[i]
		segments := strings.Split(strings.TrimPrefix(r.path, "/"), "/")
		at := slices.IndexFunc(t.bySize[len(segments)], func(x *resource) bool { return slices.Equal(x.segments, segments) })
		if at < 0 {
			at = len(t.bySize[len(segments)])
			t.bySize[len(segments)] = append(t.bySize[len(segments)], &resource{segments, map[string]*route{}})
		}
		t.bySize[len(segments)][at].methods[r.method] = r
	}
	for _, list := range t.bySize {
		// Words before variables: /robots/self is not the robot called self.
		slices.SortStableFunc(list, func(a, b *resource) int { return slices.CompareFunc(a.segments, b.segments, compareSegment) })
	}
	return t
}

func compareSegment(a, b string) int {
	va, vb := isVariable(a), isVariable(b)
	switch {
	case va == vb:
		return strings.Compare(a, b)
	case va:
		return 1
	}
	return -1
}

func isVariable(segment string) bool { return strings.HasPrefix(segment, "{") }

// find returns the resource of a path, below the prefix, and the values of the
// path's variables.
func (t *router) find(escaped string) (*resource, map[string]string) {
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for _, x := range t.bySize[len(segments)] {
		if values, ok := x.match(segments); ok {
			return x, values
		}
	}
	return nil, nil
}

func (x *resource) match(segments []string) (map[string]string, bool) {
	values := map[string]string{}
	for i, want := range x.segments {
		if !isVariable(want) {
			if want != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" || len(value) > maxPathValue {
			return nil, false
		}
		values[strings.Trim(want, "{}")] = value
	}
	return values, true
}

// maxPathValue is how long a name in a path may be, in bytes.
const maxPathValue = 512

// allow returns the methods that a resource has, for the header.
func (x *resource) allow() string {
	methods := []string{http.MethodOptions}
	for m := range x.methods {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
