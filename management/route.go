package management

import (
	"net/http"
	"reflect"
	"strconv"
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
	value    any
	revision uint64 // for the ETag; 0: none
	created  bool   // 201 where the route says 200
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
