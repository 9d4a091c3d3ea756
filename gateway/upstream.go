package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// upstreamAnswer is what the registry said to a question of the gateway.
type upstreamAnswer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // there was more than the limit
}

// question is one of the gateway's own to the registry.
type question struct {
	method     string // "": GET
	repository string // "": none, as for the catalog
	path       string // below the repository, or below /v2/
	query      string
	accept     []string
	limit      int // how many bytes of the answer's body are kept
}

func (q *question) url() *url.URL {
	path := "/v2/" + q.path
	if q.repository != "" {
		path = "/v2/" + q.repository + "/" + q.path
	}
	return &url.URL{Path: path, RawQuery: q.query}
}

// right is what the registry must let the gateway do. It only reads.
func (q *question) right() upstream.Question {
	if q.repository == "" {
		return upstream.Question{Catalog: true}
	}
	return upstream.Question{Repository: q.repository, Actions: authz.Pull}
}

// ask sends a question of the gateway's own to the registry, by the way that
// the request itself will take: the same handlers, variables, headers and client,
// so that whatever chooses among several registries chooses the same one. It
// carries the upstream credential and none of the client's. If the registry
// does not accept that, and there is another, it is asked once more.
func (x *exchange) ask(ctx context.Context, q question) (*upstreamAnswer, error) {
	for again := true; ; again = false {
		answer, shown, err := x.askOnce(ctx, &q)
		switch {
		case err != nil:
			return nil, err
		case answer.status != http.StatusUnauthorized:
			if !again {
				x.front.Upstream.credentials.Accepted(q.right())
			}
			return answer, nil
		case !x.front.Upstream.refused(q.right(), shown, answer.header["Www-Authenticate"]):
			return nil, fmt.Errorf("%w: asked for %s, the registry answers 401", upstream.ErrRefused, q.url())
		case !again:
			return nil, fmt.Errorf("%w: asked for %s, the registry does not accept what was got for it", upstream.ErrUnavailable, q.url())
		}
	}
}

func (x *exchange) askOnce(ctx context.Context, q *question) (_ *upstreamAnswer, shown []string, err error) {
	request := &http.Request{
		Method: cmp.Or(q.method, http.MethodGet), URL: q.url(), Host: x.r.Host, RemoteAddr: x.r.RemoteAddr,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.r.Header.Clone(), Body: http.NoBody, TLS: x.r.TLS,
	}
	request.RequestURI = request.URL.RequestURI()
	for _, name := range ofTheBody {
		delete(request.Header, name)
	}
	if q.accept != nil {
		request.Header["Accept"] = q.accept
	}
	x.front.Cleaning.registry(request)
	if shown, err = x.front.Upstream.show(ctx, request.Header, q.right(), x.credential); err != nil {
		return nil, nil, err
	}
	answer := &answerRecorder{header: http.Header{}, limit: q.limit}
	if err := x.next.ServeHTTP(answer, x.prepare(ctx, request, answer)); err != nil {
		return nil, nil, err
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	return &upstreamAnswer{status: answer.status, header: answer.header, body: answer.body.Bytes(), cut: answer.cut}, shown, nil
}

// ofTheBody are headers that speak of the client's own request and answer.
var ofTheBody = []string{
	"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Range", "Expect", "If-Match", "If-None-Match",
	"If-Modified-Since", "If-Unmodified-Since", "If-Range", "Transfer-Encoding",
}

// prepare makes a question a request of its own for Caddy, since routes
// remember in the context which alternatives were taken, and the client's
// request is still to come. What was set for that one holds for the question:
// variables, and placeholders that it does not answer itself.
func (x *exchange) prepare(ctx context.Context, question *http.Request, w http.ResponseWriter) *http.Request {
	server, _ := x.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	asking, _ := x.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl := caddy.NewReplacer()
	repl.Map(func(key string) (any, bool) {
		if asking != nil && (key == "http.request.method" || key == "http.request.orig_method") {
			return asking.Get(key) // placeholders choose by what the client does
		}
		return placeholder(key, x.principal, &x.request)
	})
	prepared := caddyhttp.PrepareRequest(question.WithContext(ctx), repl, w, server)
	if asking != nil {
		repl.Map(asking.Get)
	}
	if set, ok := x.r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		for name, value := range set {
			caddyhttp.SetVar(prepared.Context(), name, value)
		}
	}
	return prepared
}

// answerRecorder is a ResponseWriter that keeps a bounded answer.
type answerRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	limit  int
	cut    bool
}

func (a *answerRecorder) Header() http.Header { return a.header }

func (a *answerRecorder) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answerRecorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	room := a.limit - a.body.Len()
	if len(p) > room {
		a.cut = true
		a.body.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return a.body.Write(p)
}

func (a *answerRecorder) Flush() {}

// Upstream is what the registry behind the gateway is shown.
type Upstream struct {
	credentials upstream.Credentials
	nature      upstream.Nature
}

// NewUpstream takes credentials; nil: the registry is shown nothing.
func NewUpstream(c upstream.Credentials) Upstream {
	if c == nil {
		c = upstream.Static(nil)
	}
	return Upstream{credentials: c, nature: c.Nature()}
}

// show puts the credential into a request whose own was removed, and returns
// it.
func (u Upstream) show(ctx context.Context, h http.Header, q upstream.Question, c *authn.Credential) ([]string, error) {
	if u.nature == upstream.ClientsOwn {
		switch c.Scheme {
		case authn.SchemeBearer:
			h["Authorization"] = []string{"Bearer " + c.Secret}
		case authn.SchemeBasic:
			h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))}
		}
		return nil, nil
	}
	shown, err := u.credentials.Authorization(ctx, q)
	if err == nil && shown != nil {
		h["Authorization"] = shown
	}
	return shown, err
}

// refused tells that the registry has answered 401, and reports whether there
// is something else to show.
func (u Upstream) refused(q upstream.Question, shown, challenges []string) bool {
	return u.nature == upstream.Renewable && u.credentials.Refused(q, shown, challenges)
}
