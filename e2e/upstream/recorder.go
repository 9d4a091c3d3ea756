package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
)

// Request is what the recorder saw of one request.
type Request struct {
	Method string
	// Target is the request target as sent, undecoded.
	Target  string
	Path    string // decoded
	Query   string // undecoded
	Host    string
	Header  http.Header
	Trailer http.Header
}

// Recorder is a transparent proxy between the gateway and a registry that
// remembers every request. It can also answer in the registry's place.
type Recorder struct {
	// URL is the address the gateway is pointed at.
	URL string

	server *http.Server
	proxy  *httputil.ReverseProxy
	target atomic.Pointer[url.URL]
	fake   atomic.Pointer[http.HandlerFunc]
	wire   wire

	mu       sync.Mutex
	requests []*Request
}

// Record starts a recorder in front of the registry at target.
func Record(target string) (*Recorder, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", target, err)
	}
	r := &Recorder{URL: "http://" + l.Addr().String()}
	if err := r.Retarget(target); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	r.proxy = &httputil.ReverseProxy{Rewrite: r.rewrite}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve)}
	go func() { _ = r.server.Serve(&wireListener{Listener: l, wire: &r.wire}) }()
	return r, nil
}

// Retarget puts the recorder in front of another registry.
func (r *Recorder) Retarget(target string) error {
	base, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("record %s: %w", target, err)
	}
	r.target.Store(base)
	return nil
}

// rewrite changes nothing but where the request goes.
func (r *Recorder) rewrite(p *httputil.ProxyRequest) {
	p.SetURL(r.target.Load())
	p.Out.Host = p.In.Host
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[h]; ok {
			p.Out.Header[h] = v
		}
	}
}

// Close stops the recorder.
func (r *Recorder) Close() error { return r.server.Close() }

// Fake makes the recorder answer with h instead of asking the registry; nil
// ends that.
func (r *Recorder) Fake(h http.HandlerFunc) {
	if h == nil {
		r.fake.Store(nil)
		return
	}
	r.fake.Store(&h)
}

func (r *Recorder) serve(w http.ResponseWriter, req *http.Request) {
	seen := &Request{
		Method: req.Method,
		Target: req.RequestURI,
		Path:   req.URL.Path,
		Query:  req.URL.RawQuery,
		Host:   req.Host,
		Header: req.Header.Clone(),
	}
	r.mu.Lock()
	r.requests = append(r.requests, seen)
	r.mu.Unlock()

	switch fake := r.fake.Load(); {
	case req.Header.Get("Upgrade") != "":
		switchProtocols(w)
		return // the connection is no longer HTTP: there are no trailers
	case fake != nil:
		(*fake)(w, req)
	default:
		r.proxy.ServeHTTP(w, req)
	}
	r.mu.Lock()
	seen.Trailer = req.Trailer.Clone() // known only once the body was read
	r.mu.Unlock()
}

// switchProtocols agrees to any upgrade: the worst that an upstream can do to
// a gateway that lets the request through.
func switchProtocols(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
}

// Mark returns a position for [Recorder.Since] and forgets the bytes on the
// wire so far.
func (r *Recorder) Mark() int {
	r.wire.reset()
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// Since returns the requests seen after a [Recorder.Mark].
func (r *Recorder) Since(mark int) []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Request
	for _, seen := range r.requests[mark:] {
		out = append(out, *seen)
	}
	return out
}

// Wire returns the first bytes received since the last [Recorder.Mark], as
// they came over the network.
func (r *Recorder) Wire() []byte { return r.wire.bytes() }
