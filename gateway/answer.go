package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// gate looks at the head of the registry's answer and lets the body stream
// through untouched. A registry that asks for credentials of its own must not
// make clients send theirs there, and an upload must come back through here.
type gate struct {
	http.ResponseWriter
	exchange *exchange
	shown    []string // the credential that the registry saw
	last     bool     // the request cannot be sent once more
	again    bool     // it is to be, with another credential
	blocked  bool     // the registry's body is dropped
	passed   bool     // the head was sent
}

// Unwrap gives http.ResponseController the writer below, for flushing and
// deadlines.
func (g *gate) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// WriteHeader inspects the head of the answer and sends it.
func (g *gate) WriteHeader(status int) {
	if g.passed || g.blocked {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		g.ResponseWriter.WriteHeader(status)
		return
	}
	h := g.Header()
	challenges := h["Www-Authenticate"]
	delete(h, "Www-Authenticate")
	delete(h, "Set-Cookie")
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		g.block(challenges)
		return
	case http.StatusSwitchingProtocols:
		g.refuse("the registry answered with a protocol upgrade that nobody asked for")
		return
	case http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		g.rewriteLocation(h)
	}
	if !g.exchange.shared() {
		keepPrivate(h)
	}
	// Before the client can know: who pushed is the owner for what comes next.
	g.exchange.settleClaim(status == http.StatusCreated)
	g.passed = true
	g.ResponseWriter.WriteHeader(status)
}

// Write passes the body on.
func (g *gate) Write(p []byte) (int, error) {
	if g.blocked {
		return len(p), nil
	}
	if !g.passed {
		g.WriteHeader(http.StatusOK)
		if g.blocked {
			return len(p), nil
		}
	}
	return g.ResponseWriter.Write(p)
}

// ReadFrom keeps the writer's own way of copying, such as sendfile.
func (g *gate) ReadFrom(src io.Reader) (int64, error) {
	if !g.passed && !g.blocked {
		g.WriteHeader(http.StatusOK)
	}
	if g.blocked {
		return io.Copy(io.Discard, src)
	}
	if rf, ok := g.ResponseWriter.(io.ReaderFrom); ok {
		return rf.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{g.ResponseWriter}, src)
}

// block replaces the registry's own demand for credentials. A credential that
// was good when it was got is replaced, and the request sent once more if it
// can be; the client of one that cannot, since its body is gone, comes again.
func (g *gate) block(challenges []string) {
	x := g.exchange
	if x.front.Upstream.refused(x.right(), g.shown, challenges) {
		g.blocked, g.again = true, !g.last
		if g.last {
			clearBody(g.Header())
			x.refuseUpstream(g.ResponseWriter, fmt.Errorf("%w: the registry does not accept what was got for it", upstream.ErrUnavailable))
		}
		return
	}
	if x.front.Upstream.nature == upstream.ClientsOwn {
		// The registry verifies our tokens itself and this one did not hold.
		g.blocked = true
		clearBody(g.Header())
		(&tokenendpoint.Challenge{
			Realm: x.front.TokenURL(x.r), Service: x.front.Service, Scope: x.request.Accesses(), Error: "invalid_token",
		}).Set(g.Header())
		answer.Write(g.ResponseWriter, x.r, http.StatusUnauthorized, answer.CodeUnauthorized, "the registry did not accept the token", nil)
		return
	}
	if g.shown != nil {
		g.refuse("the registry does not accept the gateway's credential: see upstream_auth")
		return
	}
	g.refuse("the registry asks the gateway to sign in: configure upstream_auth, or switch the registry's own authentication off")
}

// refuse answers 502 in place of the registry.
func (g *gate) refuse(why string) {
	x := g.exchange
	g.blocked = true
	clearBody(g.Header())
	x.front.Log.Error(why,
		zap.String("realm", x.front.Realm),
		zap.String("method", x.r.Method),
		zap.String("path", x.request.Path))
	a := answer.RegistryLogin.Of()
	answer.Write(g.ResponseWriter, x.r, a.Status, a.Code, a.Sentence, nil)
}

// clearBody removes what describes a body that is not sent.
func clearBody(h http.Header) {
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Etag", "Location", "Transfer-Encoding", "Docker-Content-Digest"} {
		delete(h, name)
	}
}

// rewriteLocation makes the Location of an upload or of a new manifest lead
// back here: an absolute one that names another host becomes relative, since
// the registry does not know under which name its clients reach it.
func (g *gate) rewriteLocation(h http.Header) {
	x, location := g.exchange, h.Get("Location")
	if location == "" {
		return
	}
	if location[0] != '/' || strings.HasPrefix(location, "//") {
		u, err := url.Parse(location)
		if err != nil || u.Host == "" || !strings.HasPrefix(u.Path, "/v2/") {
			return
		}
		if u.Scheme+"://"+u.Host != x.front.Base(x.r) {
			u.Scheme, u.Host, u.User = "", "", nil
			location = u.String()
		}
	}
	if x.request.Route == authz.RouteUploads || x.request.Route == authz.RouteUpload {
		location = x.withGrace(location)
	}
	h.Set("Location", location)
}
