package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// forward cleans the request and hands it to the next handler. What was
// authorised is what the registry gets: the canonical path and no other
// spelling of it, and no header that speaks of identities but our own.
func (x *exchange) forward() error {
	x.record(outcomeAllowed, 0, "")
	r := x.r
	if x.request.Route == authz.RouteUpload {
		_, x.request.RawQuery = cutParameter(x.request.RawQuery, graceParameter)
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = x.request.Path, "", x.request.RawQuery
	r.URL.ForceQuery, r.URL.Fragment = false, ""
	r.RequestURI = r.URL.RequestURI()
	x.front.Cleaning.registry(r)
	x.front.Identity.set(r.Header, x.principal, x.policy)
	x.front.Upstream.apply(r.Header, x.credential)
	ended := x.watched()
	g := &gate{ResponseWriter: x.w, exchange: x}
	if err := x.next.ServeHTTP(g, r); err != nil {
		if why := cmp.Or(ended(), x.lost()); why != nil && !g.passed && !g.blocked {
			return x.stopped(why)
		}
		return x.broken(g, err)
	}
	return nil
}

// lost returns why the tags of a push are not held any more, if so.
func (x *exchange) lost() error {
	if cause := context.Cause(x.r.Context()); errors.Is(cause, errTagLeaseLost) {
		return cause
	}
	return nil
}

// stopped answers a change that was under way and may not go on.
func (x *exchange) stopped(why error) error {
	var ended *endedError
	var refused *refusedError
	switch {
	case errors.As(why, &ended):
		return x.refuseCredential(ended.err)
	case errors.As(why, &refused):
		x.decision = refused.decision
		return x.refuseAccess()
	}
	return x.refuseAs(answer.TagBusy.Of(), why)
}

// broken answers when the registry could not be asked, in the words that
// registry clients read. What went wrong is for the log.
func (x *exchange) broken(g *gate, err error) error {
	if g.passed || g.blocked || x.r.Context().Err() != nil {
		return err // the answer is on its way, or nobody waits for it
	}
	status := http.StatusBadGateway
	if failed := (caddyhttp.HandlerError{}); errors.As(err, &failed) && failed.StatusCode >= 400 {
		status = failed.StatusCode
	}
	a := answer.RegistryDown.Of()
	if status < 500 {
		a = answer.Answer{Code: answer.CodeUnsupported, Sentence: "the request was refused on its way to the registry"}
	}
	answer.SetRetryAfter(x.w.Header(), a.RetryAfter)
	x.front.Log.Error("the registry cannot be reached",
		zap.String("realm", x.front.Realm),
		zap.String("method", x.r.Method),
		zap.String("path", x.request.Path),
		zap.Int("status", status),
		zap.Error(err))
	answer.Write(x.w, x.r, status, a.Code, a.Sentence, nil)
	return nil
}
