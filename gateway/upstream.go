package gateway

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// upstreamAnswer is what the registry said to a question of the gateway.
type upstreamAnswer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // there was more than the limit
}

// ask sends a question of the gateway's own to the registry, by the way that
// the request itself will take: the same handlers, variables, headers and client,
// so that whatever chooses among several registries chooses the same one. It
// carries the upstream credential and none of the client's. The body of the
// answer is kept up to limit bytes.
func (x *exchange) ask(ctx context.Context, method, path, query string, accept []string, limit int) (*upstreamAnswer, error) {
	request := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, Host: x.r.Host, RemoteAddr: x.r.RemoteAddr,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.r.Header.Clone(), Body: http.NoBody, TLS: x.r.TLS,
	}
	request.RequestURI = request.URL.RequestURI()
	for _, name := range ofTheBody {
		delete(request.Header, name)
	}
	if accept != nil {
		request.Header["Accept"] = accept
	}
	x.front.Cleaning.registry(request)
	x.front.Upstream.apply(request.Header, x.credential)
	answer := &answerRecorder{header: http.Header{}, limit: limit}
	if err := x.next.ServeHTTP(answer, x.prepare(ctx, request, answer)); err != nil {
		return nil, err
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	return &upstreamAnswer{status: answer.status, header: answer.header, body: answer.body.Bytes(), cut: answer.cut}, nil
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
