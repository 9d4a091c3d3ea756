package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
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

// Upstream is the credential that the registry behind the gateway sees.
type Upstream struct {
	header      []string // a ready Authorization header, nil for none
	passthrough bool
}

// NewUpstream resolves the secrets. A placeholder that is empty or
// unknown is an error: the registry would be asked without a credential.
func NewUpstream(c *caddyfile.UpstreamAuth) (Upstream, error) {
	if c == nil {
		return Upstream{}, nil
	}
	switch c.Type {
	case "", caddyfile.UpstreamNone:
		return Upstream{}, nil
	case caddyfile.UpstreamPassthrough:
		return Upstream{passthrough: true}, nil
	case caddyfile.UpstreamBasic:
		user, err := caddyfile.Resolve("username", c.Username)
		if err != nil {
			return Upstream{}, err
		}
		password, err := caddyfile.Resolve("password", c.Password)
		if err != nil {
			return Upstream{}, err
		}
		return Upstream{header: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}, nil
	case caddyfile.UpstreamBearer:
		token, err := caddyfile.Resolve("token", c.Token)
		return Upstream{header: []string{"Bearer " + token}}, err
	}
	return Upstream{}, fmt.Errorf("type %q: want none, passthrough, basic or bearer", c.Type)
}

// apply puts the credential into a request whose own was removed.
func (u Upstream) apply(h http.Header, c *authn.Credential) {
	switch {
	case u.header != nil:
		h["Authorization"] = u.header
	case u.passthrough && c.Scheme == authn.SchemeBearer:
		h["Authorization"] = []string{"Bearer " + c.Secret}
	case u.passthrough && c.Scheme == authn.SchemeBasic:
		h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))}
	}
}
