package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
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
	if x.front.Upstream.nature != upstream.Renewable {
		_, err := x.send(r, true)
		return err
	}
	// What the registry says to a credential that it does not accept is not
	// the answer.
	before, body, repeatable := maps.Clone(x.w.Header()), r.Body, x.repeatable()
	again, err := x.send(r, !repeatable)
	if !again {
		return err
	}
	clear(x.w.Header())
	maps.Copy(x.w.Header(), before)
	delete(r.Header, "Authorization")
	x.r = x.prepare(r.Context(), r.Clone(r.Context()), x.w)
	x.r.Body = body
	if seeker, ok := body.(io.Seeker); ok {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	_, err = x.send(x.r, true)
	return err
}

// right is what the registry must let the gateway do for the request, where its
// credential depends on that.
func (x *exchange) right() upstream.Question {
	if x.front.Upstream.nature != upstream.Renewable {
		return upstream.Question{}
	}
	return upstream.Ask(x.request.Accesses())
}

// repeatable reports whether a request can be sent once more: it has no body, or
// one that is in memory.
func (x *exchange) repeatable() bool {
	_, inMemory := x.r.Body.(*manifestBody)
	return inMemory || x.r.Body == nil || x.r.Body == http.NoBody || x.r.ContentLength == 0
}

// send sends the request to the registry, and reports whether it is to be sent
// once more, since the registry does not accept the credential; not if it is
// the last time.
func (x *exchange) send(r *http.Request, last bool) (again bool, err error) {
	shown, err := x.front.Upstream.show(r.Context(), r.Header, x.right(), x.credential)
	if err != nil {
		x.refuseUpstream(x.w, err)
		return false, nil
	}
	ended := x.watched()
	g := &gate{ResponseWriter: x.w, exchange: x, shown: shown, last: last}
	if err := x.next.ServeHTTP(g, r); err != nil {
		if why := cmp.Or(ended(), x.lost()); why != nil && !g.passed && !g.blocked {
			return false, x.stopped(why)
		}
		return false, x.broken(g, err)
	}
	if last && !g.blocked {
		x.front.Upstream.credentials.Accepted(x.right())
	}
	return g.again, nil
}

// answerOf finds the row for an error of a question to the registry.
func answerOf(err error) answer.Answer {
	switch {
	case errors.Is(err, upstream.ErrRefused):
		return answer.RegistryLogin.Of()
	case errors.Is(err, upstream.ErrUnavailable):
		return answer.RegistryToken.Of()
	}
	return answer.Of(err)
}

// refuseUpstream answers when there is no credential that the registry would
// accept: its sentence tells whether it makes sense to come again.
func (x *exchange) refuseUpstream(w http.ResponseWriter, err error) {
	if x.r.Context().Err() != nil {
		return // nobody waits for it
	}
	a := answerOf(err)
	x.front.Log.Error("the gateway has no credential that the registry accepts",
		zap.String("realm", x.front.Realm), zap.String("method", x.r.Method), zap.String("path", x.request.Path), zap.Error(err))
	answer.SetRetryAfter(w.Header(), a.RetryAfter)
	answer.Write(w, x.r, a.Status, a.Code, a.Sentence, nil)
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
