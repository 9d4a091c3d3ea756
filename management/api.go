package management

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
)

// API serves the operations of a [Manager] as JSON over HTTP, below a prefix.
type API struct {
	manager *Manager
	prefix  string
	options APIOptions
	routes  []route
	router  *router
	harbor  *router
	openapi []byte
}

// APIOptions say how an [API] learns who calls.
type APIOptions struct {
	// Authenticate says who sends a request, whatever the credential, keys of
	// the API aside: the anonymous principal if there is none, and an error
	// if there is one that is wrong.
	Authenticate func(*http.Request) (*authn.Principal, error)
	// Remote returns the client's address; nil for that of the connection.
	Remote func(*http.Request) netip.Addr
	// Bootstrap makes the first administrator; nil: there is no such route.
	Bootstrap *Bootstrap
	// Installation is what the gateway that a request reached says of itself;
	// nil: there is no such route.
	Installation func(*http.Request) (export.Input, error)
	// Done is told how each request was answered: the code of the problem, or
	// "done". May be nil.
	Done func(outcome string)
	// RequestID returns the id that the access log has; nil for none.
	RequestID func(*http.Request) string
	// Local, if it is not nil, is who calls, whoever it is, and nobody is
	// authenticated: for the machine's own administration endpoint.
	Local *Caller
	// Prefix is where the API is; empty: where the configuration says.
	Prefix string
}

// NewAPI makes the handler.
func NewAPI(m *Manager, o APIOptions) (*API, error) {
	a := &API{manager: m, prefix: strings.TrimSuffix(cmp.Or(o.Prefix, m.config.Prefix), "/"), options: o}
	a.routes = a.everyRoute()
	a.router = newRouter(a.routes)
	if m.config.HarborRobots && o.Local == nil {
		a.harbor = newRouter(a.harborRoutes())
	}
	var err error
	a.openapi, err = a.document()
	return a, err
}

// Prefix returns where the API is.
func (a *API) Prefix() string { return a.prefix }

// Serves reports whether a path is the API's.
func (a *API) Serves(path string) bool {
	return strings.HasPrefix(path, a.prefix+"/") || a.harbor != nil && (path == HarborVersion || strings.HasPrefix(path, HarborPrefix+"/"))
}

const maxBody = 256 << 10 // bytes

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	in, path, problem := a.router, strings.TrimPrefix(r.URL.EscapedPath(), a.prefix), a.problem
	if a.harbor != nil && strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, a.prefix+"/") {
		in, path, problem = a.harbor, r.URL.EscapedPath(), a.harborProblem
	}
	outcome := "done"
	if err := a.serve(w, r, in, path); err != nil {
		problem(w, r, err)
		outcome = string(AsError(err).Code)
	}
	if a.options.Done != nil {
		a.options.Done(outcome)
	}
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, in *router, path string) error {
	if err := admitted(r); err != nil {
		return err
	}
	at, values := in.find(path)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var found *route
	if at != nil {
		found = at.methods[method]
	}
	var who *Caller
	if found == nil || !found.open {
		// Who is nobody does not learn which paths there are.
		var err error
		if who, err = a.caller(r); err != nil {
			return err
		}
	}
	switch {
	case at == nil:
		return fail(CodeNotFound, "there is nothing at this path: see %s/openapi.json", a.prefix)
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", at.allow())
		w.WriteHeader(http.StatusNoContent)
		return nil
	case found == nil:
		w.Header().Set("Allow", at.allow())
		return fail(CodeMethod, "%.20s cannot be done here: there are %s", r.Method, at.allow())
	}
	return a.run(w, r, found, who, values)
}

// run does what a route is for.
func (a *API) run(w http.ResponseWriter, r *http.Request, found *route, who *Caller, values map[string]string) error {
	if found.scope != "" {
		if err := needs(who, found.scope); err != nil {
			return err
		}
	}
	if err := checkMedia(r); err != nil {
		return err
	}
	c := &call{api: a, request: r, who: who, path: values}
	if found.harbor != nil {
		return found.harbor(w, c)
	}
	if err := checkQuery(found, r); err != nil {
		return err
	}
	if err := c.conditions(found); err != nil {
		return err
	}
	raw, err := c.readBody(w, found)
	if err != nil {
		return err
	}
	if done, err := a.once(w, c, found, raw); done || err != nil {
		return err
	}
	said, err := found.serve(c)
	if err != nil {
		return a.repeatedMeanwhile(c, err)
	}
	a.answer(w, r, found, said)
	return nil
}

// answer sends what a route says.
func (a *API) answer(w http.ResponseWriter, r *http.Request, found *route, said *answer) {
	h := w.Header()
	if v, ok := said.value.(revised); ok && v.Revision() != 0 && found.versioned {
		tag := etag(v.Revision())
		h.Set("ETag", tag)
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && slices.Contains(entityTags(r.Header.Values("If-None-Match")), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if said.next != "" {
		q := r.URL.Query()
		q.Set("cursor", said.next)
		h.Set("Link", "<"+r.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
	}
	if said.location != "" {
		h.Set("Location", a.prefix+said.location)
	}
	status := found.status
	if said.created {
		status = http.StatusCreated
	}
	if said.stream != nil {
		a.stream(w, r, found, said)
		return
	}
	if found.result == nil {
		w.WriteHeader(status)
		return
	}
	send(w, r, status, said.value)
}

// stream sends a body that is made on the way. An error after its beginning can
// only end the connection.
func (a *API) stream(w http.ResponseWriter, r *http.Request, found *route, said *answer) {
	w.Header().Set("Content-Type", cmp.Or(said.media, found.media))
	if r.Method == http.MethodHead {
		return
	}
	if err := said.stream(w); err != nil {
		a.manager.log.Error("a download was cut off", "realm", a.manager.state.Realm(), "request_id", a.requestID(r), "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// checkQuery refuses parameters that the route does not have.
func checkQuery(found *route, r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	var wrong problems
	for name, values := range r.URL.Query() {
		i := slices.IndexFunc(found.query, func(p queryParameter) bool { return p.name == name })
		switch {
		case i < 0:
			wrong.add(join("", name), "there is no such parameter")
		case len(values) > 1:
			wrong.add(name, "given %d times", len(values))
		case len(values[0]) > maxCursor:
			wrong.add(name, "longer than %d characters", maxCursor)
		}
	}
	slices.SortFunc(wrong, func(x, y FieldError) int { return strings.Compare(x.Field, y.Field) })
	return wrong.err()
}

// isEmptyObject reports whether a body says nothing, as clients send it that
// cannot send none.
func isEmptyObject(raw []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(raw, &members) == nil && members != nil && len(members) == 0
}

// readBody reads and checks the body that the route takes.
func (c *call) readBody(w http.ResponseWriter, found *route) ([]byte, error) {
	r := c.request
	most := cmp.Or(found.maxBody, maxBody)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fail(CodeTooLarge, "want at most %d bytes", most)
	case err != nil:
		return nil, fail(CodeMalformed, "the body cannot be read")
	case found.body == nil && (len(bytes.TrimSpace(raw)) == 0 || isEmptyObject(raw)):
		return nil, nil
	case found.body == nil:
		return nil, fail(CodeMalformed, "this takes no body, or {}")
	}
	if len(raw) == 0 && found.bodyOptional {
		raw = []byte("{}")
	}
	body := reflect.New(found.body)
	if err := decode(raw, body.Interface(), found.patch); err != nil {
		return nil, err
	}
	c.body, c.raw = body.Interface(), raw
	return raw, nil
}

// etag is the entity tag of a revision (RFC 9110 §8.8.3).
func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// entityTags cuts the values of If-Match or If-None-Match into tags.
func entityTags(values []string) []string {
	var tags []string
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			tags = append(tags, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(t), "W/")))
		}
	}
	return tags
}

// conditions reads If-Match and If-None-Match (RFC 9110 §13.1).
func (c *call) conditions(found *route) error {
	if !found.versioned || c.request.Method == http.MethodGet || c.request.Method == http.MethodHead {
		return nil
	}
	if tags := entityTags(c.request.Header.Values("If-Match")); len(tags) > 0 {
		switch text, quoted := strings.CutPrefix(tags[0], `"`); {
		case len(tags) > 1:
			return fail(CodeMalformed, "If-Match: want one tag")
		case tags[0] == "*":
			c.match.Exists = true
		case !quoted:
			return fail(CodeMalformed, "If-Match: want the ETag of an answer, with its quotes")
		default:
			revision, err := strconv.ParseUint(strings.TrimSuffix(text, `"`), 10, 64)
			if err != nil || revision == 0 {
				return fail(CodeStale, "it is not what you have seen")
			}
			c.match.Revision = revision
		}
	}
	if tags := entityTags(c.request.Header.Values("If-None-Match")); len(tags) > 0 {
		if len(tags) > 1 || tags[0] != "*" {
			return fail(CodeMalformed, "If-None-Match: want *")
		}
		c.match.Absent = true
	}
	return nil
}

func (a *API) requestID(r *http.Request) string {
	if a.options.RequestID == nil {
		return ""
	}
	return a.options.RequestID(r)
}

func (a *API) remote(r *http.Request) netip.Addr {
	if a.options.Remote != nil {
		return a.options.Remote(r)
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

var _ http.Handler = (*API)(nil)

// everyRoute returns all operations of the API, the resources in the order of
// the document.
func (a *API) everyRoute() []route {
	return slices.Concat(
		a.selfRoutes(),
		a.robotRoutes(),
		a.roleRoutes(),
		a.projectRoutes(),
		a.readOnlyRoutes(),
		a.ownerRoutes(),
		a.userRoutes(),
		a.revocationRoutes(),
		a.signingRoutes(),
		a.auditRoutes(),
		a.explainRoutes(),
		a.documentRoutes(),
		a.installationRoutes(),
		a.bootstrapRoutes(),
		a.tokenRoutes(),
		a.identityTokenRoutes(),
		a.keyRoutes(),
	)
}

// selfRoutes are about the API and the caller.
func (a *API) selfRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/openapi.json", id: "getDocument", group: "self", open: true,
			summary: "This API as an OpenAPI 3.1 document.", status: http.StatusOK, result: of[map[string]any](),
			serve: func(*call) (*answer, error) { return &answer{value: json.RawMessage(a.openapi)}, nil },
		},
		{
			method: http.MethodGet, path: "/health", id: "getHealth", group: "self", open: true,
			summary: "Whether changes can be made. The status is 200 as well while the store is away: the gateway goes on with what it knows.",
			status:  http.StatusOK, result: of[Health](),
			serve: func(*call) (*answer, error) { return &answer{value: a.manager.Health()}, nil },
		},
		{
			method: http.MethodGet, path: "/whoami", id: "whoAmI", group: "self",
			summary: "Who the caller is, and what it may do.", status: http.StatusOK, result: of[Self](),
			serve: func(c *call) (*answer, error) { return &answer{value: a.manager.Self(c.who)}, nil },
		},
	}
}

// flagOf reads a parameter that is true or false; absent is false.
func flagOf(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid(name, "want true or false")
}
