package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// Recorder writes down what was decided: one line of the audit log, metrics,
// and for everything else in Caddy placeholders, access-log fields and spans.
type Recorder struct {
	audit   *zap.Logger
	level   string
	claims  []string // that lines name
	metrics *realmMetrics
}

// NewRecorder makes the recorder of a realm.
func NewRecorder(ctx caddy.Context, realm string, config caddyfile.Config) (*Recorder, error) {
	level := config.Audit
	switch level {
	case "":
		level = caddyfile.AuditAll
	case caddyfile.AuditAll, caddyfile.AuditChanges, caddyfile.AuditRefusals:
	default:
		return nil, fmt.Errorf("audit %q: want all, changes or refusals", level)
	}
	if len(config.AuditClaims) > caddyfile.MaxAuditClaims || slices.Contains(config.AuditClaims, "") {
		return nil, fmt.Errorf("audit_claims: want at most %d names", caddyfile.MaxAuditClaims)
	}
	metrics, err := newRealmMetrics(ctx, realm)
	if err != nil {
		return nil, err
	}
	return &Recorder{audit: ctx.Logger().Named("audit").With(zap.String("realm", realm)), level: level, claims: config.AuditClaims, metrics: metrics}, nil
}

// writes reports whether a decision becomes a line of the audit log.
func (c *Recorder) writes(o outcome, change bool) bool {
	return o != outcomeAllowed || c.level == caddyfile.AuditAll || (change && c.level == caddyfile.AuditChanges)
}

// fieldArrays are reused: a line has a kilobyte of fields.
var fieldArrays = sync.Pool{New: func() any { return new(make([]zap.Field, 0, 22)) }}

// record notes the decision on a registry request. Status is 0 where the
// registry is yet to answer.
func (x *exchange) record(o outcome, status int, reason string) {
	c := x.front.Recorder
	c.metrics.decision(x.request.Action(), o)
	x.publish()
	x.endSpan(o)
	if !c.writes(o, x.request.Write()) {
		return
	}
	check := c.audit.Check(zapcore.InfoLevel, "registry access")
	if check == nil {
		return
	}
	array := fieldArrays.Get().(*[]zap.Field) //nolint:forcetypeassert // the pool holds nothing else
	fields := append((*array)[:0],
		zap.String("decision", o.String()),
		zap.String("method", x.r.Method),
		zap.String("action", x.request.Action().String()))
	fields = c.who(x.r, x.principal, fields)
	if x.request.Repository != "" {
		fields = append(fields, zap.String("repository", x.request.Repository))
	}
	if x.request.Reference != "" {
		fields = append(fields, zap.String("reference", x.request.Reference))
	}
	if x.request.From != "" {
		fields = append(fields, zap.String("mount_from", x.request.From))
	}
	if x.remounted {
		fields = append(fields, zap.Bool("mount_dropped", true))
	}
	if o == outcomeMalformed && x.request.Repository == "" {
		fields = append(fields, zap.String("uri", bounded(x.r.RequestURI)))
	}
	if status != 0 {
		fields = append(fields, zap.Int("status", status))
	}
	if reason == "" && x.decision.Allowed && x.decision.Rule != nil {
		reason = x.decision.Reason()
	}
	if reason != "" {
		fields = append(fields, zap.String("reason", bounded(reason)))
	}
	if len(x.decision.Shadow) > 0 {
		fields = append(fields, zap.String("shadow", bounded(x.decision.ShadowReason())))
	}
	fields = append(fields, zap.Duration("took", time.Since(x.start)))
	check.Write(fields...)
	clear(fields)
	*array = fields
	fieldArrays.Put(array)
}

// who appends the principal, the client and the request id.
func (c *Recorder) who(r *http.Request, p *authn.Principal, fields []zap.Field) []zap.Field {
	if p != nil {
		fields = append(fields, zap.String("principal", p.String()))
		if p.Credential != "" {
			fields = append(fields, zap.String("credential", p.Credential), zap.String("authenticator", p.Authenticator))
		}
		if p.CredentialID != "" {
			fields = append(fields, zap.String("credential_id", p.CredentialID))
		}
		if p.Subject != "" {
			fields = append(fields, zap.String("subject", bounded(p.Subject)))
		}
		if claims := (auditClaims{p, c.claims}); claims.any() {
			fields = append(fields, zap.Object("claims", claims))
		}
	}
	return append(fields, zap.String("client_ip", clientIP(r)), zap.String("request_id", RequestID(r)), zap.String("user_agent", bounded(r.UserAgent())))
}

// publish makes the identity and the decision visible to the rest of Caddy.
func (x *exchange) publish() {
	ctx := x.r.Context()
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && x.principal != nil {
		principal, request := x.principal, &x.request
		repl.Map(func(key string) (any, bool) { return placeholder(key, principal, request) })
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server != nil && server.Logs != nil {
		if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok && x.principal != nil {
			extra.Set(zap.String("registry_principal", x.principal.String()))
			extra.Set(zap.String("registry_action", x.request.Action().String()))
			extra.Set(zap.String("registry_repository", x.request.Repository))
		}
	}
}

// Token notes what happened at the token endpoint.
func (c *Recorder) Token(r *http.Request, t tokenendpoint.Record) {
	o := tokenOutcome(t)
	c.metrics.token(o, t.Duration)
	tokenSpan(r, t, o)
	if !c.writes(o, false) {
		return
	}
	check := c.audit.Check(zapcore.InfoLevel, "registry token")
	if check == nil {
		return
	}
	fields := c.who(r, t.Principal, append(make([]zap.Field, 0, 20), zap.String("decision", o.String()), zap.Int("status", t.Status)))
	if len(t.Requested) > 0 {
		fields = append(fields, zap.String("requested", bounded(authz.FormatScopes(t.Requested))), zap.String("granted", bounded(authz.FormatScopes(t.Granted))))
	}
	if t.TokenID != "" {
		fields = append(fields, zap.String("token_id", t.TokenID)) // the credential_id of its uses
	}
	if t.IdentityToken != "" {
		fields = append(fields, zap.String("identity_token", t.IdentityToken))
	}
	if t.ClientID != "" {
		fields = append(fields, zap.String("client_id", bounded(t.ClientID)))
	}
	if t.Err != nil {
		fields = append(fields, zap.String("reason", bounded(t.Err.Error())))
	}
	check.Write(append(fields, zap.Duration("took", t.Duration))...)
}

// Route notes the decision on a request beside the registry API.
func (c *Recorder) Route(r *http.Request, p *authn.Principal, refusal *RouteRefusal) {
	o := routeOutcome(refusal)
	if !c.writes(o, r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return
	}
	check := c.audit.Check(zapcore.InfoLevel, "registry route")
	if check == nil {
		return
	}
	fields := c.who(r, p, append(make([]zap.Field, 0, 16),
		zap.String("decision", o.String()), zap.String("method", r.Method), zap.String("uri", bounded(r.RequestURI))))
	if refusal != nil {
		fields = append(fields, zap.Int("status", refusal.Status), zap.String("reason", bounded(refusal.Err.Error())))
	}
	check.Write(fields...)
}

// maxLogged bounds what a client can put into one field of a log line, bytes.
const maxLogged = 256

func bounded(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	return s[:maxLogged] + "…"
}

func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// RequestID is the id that Caddy's {http.request.uuid} gives, so that audit
// and access log can be joined.
func RequestID(r *http.Request) string {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		id, _ := repl.GetString("http.request.uuid")
		return id
	}
	return ""
}

// auditClaims are the claims of a principal that the audit log names: which
// job it was, where the principal is a workload.
type auditClaims struct {
	principal *authn.Principal
	names     []string
}

// any reports whether the principal has one of them.
func (c auditClaims) any() bool {
	return slices.ContainsFunc(c.names, func(name string) bool {
		_, ok := c.principal.Claim(name)
		return ok
	})
}

// MarshalLogObject writes them as texts of bounded length.
func (c auditClaims) MarshalLogObject(e zapcore.ObjectEncoder) error {
	for _, name := range c.names {
		if v, ok := c.principal.Claim(name); ok {
			e.AddString(name, bounded(claimText(v)))
		}
	}
	return nil
}

// claimText is a claim as a text: a string as it is, all else as JSON.
func claimText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "?" // claims were JSON before
	}
	return string(text)
}
