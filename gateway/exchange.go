package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// exchange is one registry request on its way: parse, authenticate, decide,
// then forward or refuse, and record.
type exchange struct {
	front *Front
	w     http.ResponseWriter
	r     *http.Request
	next  caddyhttp.Handler

	policy     *authz.Policy // in force when the request came
	request    authz.Request
	credential *authn.Credential
	principal  *authn.Principal
	decision   authz.Decision
	remounted  bool     // a mount was asked for and taken out
	absent     bool     // the registry does not have the tags yet
	concerned  []string // tags that a deletion by digest takes away; nil: not asked
	claimed    []string // ids of the owners that the push has recorded
	held       *hold    // the tags that it holds, nil for none
	start      time.Time
	at         time.Time  // for conditions: when it was looked at last
	span       trace.Span // of the decision; nil where nobody traces
}

// serve answers one registry request.
func (x *exchange) serve() error {
	x.start = time.Now()
	x.at = x.start
	x.startSpan()
	var err error
	if x.request, err = authz.ParseRequest(x.r.Method, x.r.URL, x.r.Header, x.front.Extensions); err != nil {
		return x.refuseRequest(err)
	}
	if err := AdmitActor(x.r); err != nil {
		return x.refuseAs(AdmissionAnswer(err), err)
	}
	if err := x.authenticate(); err != nil {
		return x.refuseCredential(err)
	}
	if x.request.Route == authz.RouteBase {
		return x.serveBase()
	}
	if err := x.arrive(); err != nil {
		return x.refuseManifest(err)
	}
	err = x.authorize()
	if x.held != nil {
		defer x.held.release()
	}
	switch {
	case err != nil:
		return x.refuseDecision(err)
	case !x.decision.Allowed:
		return x.refuseAccess()
	case x.request.Route == authz.RouteCatalog && x.decision.Rule != nil && x.decision.Rule.Kind == authz.RuleCatalog:
		return x.serveCatalog()
	}
	if rules := x.signatureRules(); rules != nil {
		return x.serveSigned(rules)
	}
	err = x.forward()
	x.settleClaim(false) // if the registry has not taken it
	return err
}

// refuseDecision answers what could not be decided, or may not go on.
func (x *exchange) refuseDecision(err error) error {
	var ended *endedError
	switch {
	case errors.As(err, &ended):
		return x.refuseCredential(ended.err)
	case errors.Is(err, errTooMuch):
		return x.refuse(outcomeDenied, http.StatusPreconditionFailed, answer.CodeDenied, err.Error(), err.Error())
	}
	return x.refuseAs(answerOf(err), err)
}

func (x *exchange) authenticate() (err error) {
	if x.credential, err = x.front.Credential(x.r); err != nil {
		return err
	}
	if x.principal, err = x.front.Chain.Authenticate(x.r.Context(), x.credential); err == nil {
		x.front.Used(x.r, x.principal)
		return nil
	}
	if p, ok := x.continues(err); ok {
		x.principal = p
		return nil
	}
	return err
}

var noTags = []string{}

// query describes an access to the policy.
func (x *exchange) query(access authz.Access, action authz.Action) authz.Query {
	tags := x.request.Tags
	if x.request.Route == authz.RouteBlob && action != authz.Delete {
		tags = noTags // a tag points at a manifest, never at a blob, though it may need one
	}
	return authz.Query{
		Type:       access.Type,
		Repository: access.Name,
		Action:     action,
		Tag:        x.request.Tag(),
		Tags:       tags,
		Digest:     x.request.Digest(),
		Remote:     x.credential.Remote,
		UserAgent:  x.r.UserAgent(),
		Time:       x.at,
		Method:     x.r.Method,
	}
}

// authorize decides the access to the target, and takes the mount out of an
// upload whose source the principal may not pull: a refusal would end the
// whole push in containerd and Docker, the upload without the mount goes on.
func (x *exchange) authorize() error {
	query := x.decide()
	if x.request.Write() {
		if err := x.settle(&query); err != nil {
			return err
		}
	}
	if !x.decision.Allowed {
		return nil
	}
	if source, ok := x.request.Source(); ok {
		query := x.query(source, authz.Pull)
		query.Tag, query.Tags, query.Digest = "", nil, x.request.Mount
		if !x.policy.Decide(x.principal, &query).Allowed {
			x.request.DropMount()
			x.remounted = true
		}
	}
	return nil
}

// decide decides the access to the target by what is known now.
func (x *exchange) decide() authz.Query {
	query := x.query(x.request.Target(), x.request.Action())
	query.Absent = x.absent
	if x.concerned != nil {
		query.Tags = x.concerned
	}
	x.decision = x.policy.Decide(x.principal, &query)
	return query
}

// unknown reports whether nothing about the request says who sends it: no
// credential, and no client certificate or the like either. A registry token
// that was issued to nobody is a credential.
func (x *exchange) unknown() bool {
	return x.credential.Scheme == authn.SchemeNone && x.principal.IsAnonymous()
}

// serveBase answers /v2/, the login check. Who is unknown is always
// refused, also where anonymous pull is on: a client that sees 200 here never
// sends its credentials again.
func (x *exchange) serveBase() error {
	if x.unknown() {
		return x.challenge(outcomeUnauthenticated, "", nil, "authentication required: sign in with `docker login "+x.r.Host+"`")
	}
	x.decision = authz.Decision{Allowed: true}
	x.record(outcomeAllowed, http.StatusOK, "")
	h := x.w.Header()
	keepPrivate(h)
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", "2")
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write([]byte("{}"))
	}
	return nil
}

// refuseRequest answers a request that is not one of the distribution
// specification, or not in canonical form.
func (x *exchange) refuseRequest(err error) error {
	var bad *authz.RequestError
	if !errors.As(err, &bad) {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	if bad.Allow != "" {
		x.w.Header().Set("Allow", bad.Allow)
	}
	return x.refuse(outcomeMalformed, bad.Status, answer.Code(bad.Code), bad.Message, bad.Message)
}

// refuseCredential answers a credential that does not hold. It is never
// treated as if there were none.
func (x *exchange) refuseCredential(err error) error {
	a := answer.OfCredential(err)
	if a.Status != http.StatusUnauthorized {
		return x.refuseAs(a, err)
	}
	return x.challengeReason(outcomeInvalid, tokenendpoint.ErrorInvalidToken, x.request.Accesses(), a.Sentence, err.Error())
}

// refuseAs answers with a row of the table.
func (x *exchange) refuseAs(a answer.Answer, err error) error {
	answer.SetRetryAfter(x.w.Header(), a.RetryAfter)
	return x.refuse(statusOutcome(a.Status), a.Status, a.Code, a.Sentence, err.Error())
}

// refuseAccess answers a principal who may not do this.
func (x *exchange) refuseAccess() error {
	scope := x.request.Accesses()
	target := x.request.Target()
	what := x.request.Action().String() + " " + target.Name
	x.blameReadOnly()
	if rule := x.decision.Rule; rule != nil && !x.unknown() {
		switch rule.Kind {
		case authz.RuleImmutable:
			return x.refuse(outcomeDenied, http.StatusPreconditionFailed, answer.CodeDenied, x.decision.Reason(), x.decision.Reason())
		case authz.RuleReadOnly:
			return x.refuse(outcomeDenied, http.StatusForbidden, answer.CodeDenied, target.Name+" is read-only at the moment: pulling goes on, nothing can be changed", x.decision.Reason())
		}
	}
	switch {
	case x.unknown():
		return x.challengeReason(outcomeUnauthenticated, "", scope, "authentication required to "+what+": sign in with `docker login "+x.r.Host+"`", x.decision.Reason())
	case x.principal.Credential == authn.CredentialRegistryToken:
		return x.challengeReason(outcomeDenied, "insufficient_scope", scope, x.denial(what), x.decision.Reason())
	}
	return x.refuse(outcomeDenied, http.StatusForbidden, answer.CodeDenied, x.denial(what), x.decision.Reason())
}

// blameReadOnly names read-only mode as the reason where it is why a token is
// not good for writing: a new one would not be, either.
func (x *exchange) blameReadOnly() {
	if !x.decision.Limited() || !x.request.Write() {
		return
	}
	query := x.query(x.request.Target(), x.request.Action())
	if d := x.policy.Decide(x.principal.Unscoped(), &query); d.Rule != nil && d.Rule.Kind == authz.RuleReadOnly {
		x.decision = d
	}
}

// denial is the message for somebody who is signed in.
func (x *exchange) denial(what string) string {
	who := x.principal.String()
	if x.principal.IsAnonymous() {
		who = "an anonymous client"
	}
	message := who + " may not " + what
	if x.front.Explain {
		message += ": " + x.decision.Reason()
	}
	return message
}

func (x *exchange) challenge(o outcome, errorCode string, scope []authz.Access, message string) error {
	return x.challengeReason(o, errorCode, scope, message, message)
}

// challengeReason answers 401 with the one challenge that every client
// understands.
func (x *exchange) challengeReason(o outcome, errorCode string, scope []authz.Access, message, reason string) error {
	(&tokenendpoint.Challenge{
		Realm:   x.front.TokenURL(x.r),
		Service: x.front.Service,
		Scope:   scope,
		Error:   errorCode,
	}).Set(x.w.Header())
	code := answer.CodeUnauthorized
	if errorCode == "insufficient_scope" {
		code = answer.CodeDenied
	}
	return x.refuse(o, http.StatusUnauthorized, code, message, reason)
}

func (x *exchange) refuse(o outcome, status int, code answer.Code, message, reason string) error {
	x.record(o, status, reason)
	answer.Write(x.w, x.r, status, code, message, nil)
	return nil
}
