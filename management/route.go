package management

import (
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// route is one operation of the API: what serves it is also what the OpenAPI
// document says of it.
type route struct {
	method, path string // "/robots/{name}", below the prefix
	id           string // operationId
	group        string // tag
	summary      string
	scope        Scope // "": whoever has a credential
	open         bool  // no credential is needed

	query  []queryParameter
	body   reflect.Type // nil: none
	result reflect.Type // nil: no content
	media  string       // instead of result: what is streamed, if it is not JSON
	medias []string     // instead of media, where the answer says which of them it is
	status int
	// created: the status may also be 201, with a Location.
	created bool
	// maxBody is how large the body may be, in bytes; 0: maxBody.
	maxBody int64
	// patch: the body is a merge patch (RFC 7396) of the type; bodyOptional:
	// it may be left out.
	patch, bodyOptional bool
	// once: an Idempotency-Key is taken. Location is that of the answer.
	once     bool
	location func(answer any) string
	// versioned: the answer has an ETag, and a change takes If-Match.
	versioned bool
	// fails are the codes of failure beyond those that every route has.
	fails []Code
	serve func(c *call) (*answer, error)
	// harbor answers by itself, as Harbor does.
	harbor func(w http.ResponseWriter, c *call) error
}

// queryParameter is a parameter of the query.
type queryParameter struct {
	name, doc string
	schema    schema
}

// pageParameters are those of every list.
var pageParameters = []queryParameter{
	{"limit", "How many at most.", schema{"type": "integer", "minimum": 1, "maximum": maxPage, "default": defaultPage}},
	{"cursor", "The next of the page before.", schema{"type": "string", "maxLength": maxCursor}},
}

// call is one request to a route.
type call struct {
	api     *API
	request *http.Request
	who     *Caller
	path    map[string]string
	body    any // a pointer to route.body
	raw     []byte
	match   Match
}

// answer is what a route says.
type answer struct {
	value    any  // with the ETag, if it is revised
	created  bool // 201 where the route says 200
	location string
	next     string                          // cursor of the next page
	stream   func(http.ResponseWriter) error // writes the body
	media    string                          // of the stream, where the route has several
}

// page returns what the query says of the page.
func (c *call) page() (PageQuery, error) {
	q := c.request.URL.Query()
	p := PageQuery{Cursor: q.Get("cursor")}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p, invalid("limit", "want 1 to %d", maxPage)
		}
		p.Limit = n
	}
	return p, nil
}

// List is a page of a list, as it is sent.
type List[T any] struct {
	Items []T    `json:"items" doc:"What is on this page, in the order of names or ids."`
	Next  string `json:"next,omitempty" doc:"The cursor of the page that follows; absent on the last." max:"1024"`
}

// list makes the answer of a list.
func list[T any](p *Page[T], err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{value: List[T]{Items: p.Items, Next: p.Next}, next: p.Next}, nil
}

// of is the type that a route takes or returns.
func of[T any]() reflect.Type { return reflect.TypeFor[T]() }

// input is the body of a call.
func input[T any](c *call) T {
	if p, ok := c.body.(*T); ok {
		return *p
	}
	var none T
	return none
}

// patched applies the body, a merge patch, to what there is.
func patched[T any](c *call, current T) (T, error) {
	var next T
	merged, err := mergePatch(current, c.raw)
	if err != nil {
		return next, err
	}
	return next, decode(merged, &next, false)
}

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

// PageQuery asks for a part of a list.
type PageQuery struct {
	// Limit is how many at most; 0 is 100.
	Limit int
	// Cursor is the Next of the page before; empty is the beginning.
	Cursor string
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the page that follows; empty: there is none.
	Next string
}

const (
	defaultPage = 100
	maxPage     = 1000
	maxCursor   = 1024
)

// cursorPrefix begins every cursor before it is encoded.
const cursorPrefix = "1:"

func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

func (q PageQuery) after() (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	id, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok || len(q.Cursor) > maxCursor {
		return "", invalid("cursor", "is none that was handed out")
	}
	return id, nil
}

func (q PageQuery) limit() (int, error) {
	switch {
	case q.Limit == 0:
		return defaultPage, nil
	case q.Limit < 0 || q.Limit > maxPage:
		return 0, invalid("limit", "want 1 to %d", maxPage)
	}
	return q.Limit, nil
}

// page returns the part of a list that is asked for, in the order of ids.
func page[T, R any](q PageQuery, list iter.Seq[T], id func(T) string, show func(T) R) (*Page[R], error) {
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	limit, err := q.limit()
	if err != nil {
		return nil, err
	}
	var found []T
	for item := range list {
		if id(item) > after {
			found = append(found, item)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	p := &Page[R]{Items: make([]R, 0, min(limit, len(found)))}
	for i, item := range found {
		if i == limit {
			p.Next = encodeCursor(id(found[i-1]))
			break
		}
		p.Items = append(p.Items, show(item))
	}
	return p, nil
}

// at names a member of a list.
func at(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
