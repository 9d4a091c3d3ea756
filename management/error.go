package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
)

// Code says what is wrong with a call. Codes do not change from one version
// to the next; texts do.
type Code string

// The codes.
const (
	CodeMalformed        Code = "malformed"            // cannot be read
	CodeUnauthenticated  Code = "unauthenticated"      // no credential, or a wrong one
	CodeForbidden        Code = "forbidden"            // the caller may not
	CodeScope            Code = "insufficient-scope"   // the credential is not good for it
	CodeCrossSite        Code = "cross-site"           // a page of another site asked
	CodeUnconfirmed      Code = "confirmation-needed"  // a browser's session creates no credentials
	CodeTooEarly         Code = "too-early"            // in TLS early data, which can be replayed
	CodeNotFound         Code = "not-found"            // no such thing, as far as the caller may know
	CodeMethod           Code = "method-not-allowed"   // not on this
	CodeExists           Code = "exists"               // the name is taken
	CodeConflict         Code = "conflict"             // as things stand it can't be done
	CodeDeclared         Code = "declared"             // stands in the configuration
	CodeRepeated         Code = "repeated"             // was done before, with this idempotency key
	CodeStale            Code = "stale"                // was changed meanwhile
	CodeTooLarge         Code = "too-large"            // the body
	CodeUnsupportedMedia Code = "unsupported-media"    // the body is no JSON
	CodeInvalid          Code = "invalid"              // fields; see Error.Fields
	CodeBusy             Code = "busy"                 // come back in a moment
	CodeUnavailable      Code = "unavailable"          // the store is away
	CodeFull             Code = "insufficient-storage" // the store is full
	CodeUnknown          Code = "unknown-outcome"      // the store did not say whether it was done
	CodeUnusable         Code = "store-unusable"       // the store is damaged, or too new
	CodeInternal         Code = "internal"             // our fault
)

// Error is why a call was not done. Its text is for the caller to read.
type Error struct {
	Code   Code
	Detail string
	// Fields are what is wrong with what was given.
	Fields []FieldError
	// RetryAfter is how long the caller should wait, if waiting helps.
	RetryAfter time.Duration
	// Location is where to look, if there is such a place.
	Location string

	err error
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field" doc:"Path of the field, such as permissions[0].name." max:"300"`
	Detail string `json:"detail" doc:"What is wrong with it." max:"2000"`
}

func (e *Error) Error() string {
	text := string(e.Code)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if len(e.Fields) > 0 {
		text += ": " + fieldText(e.Fields)
	}
	return text
}

// Unwrap returns what is behind it, if anything.
func (e *Error) Unwrap() error { return e.err }

func fieldText(list []FieldError) string {
	words := make([]string, len(list))
	for i, f := range list {
		words[i] = f.Field + ": " + f.Detail
	}
	return strings.Join(words, "; ")
}

// fail makes an error.
func fail(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// invalid makes an error about one field.
func invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Fields: []FieldError{{field, fmt.Sprintf(format, args...)}}}
}

// problems collects what is wrong with fields.
type problems []FieldError

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, FieldError{field, fmt.Sprintf(format, args...)})
}

// check adds an error, if it is one.
func (p *problems) check(field string, err error) {
	if err != nil {
		p.add(field, "%v", err)
	}
}

// forbidden is err for what is well formed and too much.
func (p problems) forbidden(detail string) error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Code: CodeForbidden, Detail: detail, Fields: p}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Fields: p}
}

// AsError returns any error of an operation as an [*Error].
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return answered(answers.Of(err), err)
}

// answered is a row of the table of answers in the words of this API.
func answered(a answers.Answer, err error) *Error {
	return &Error{Code: Code(a.Problem), Detail: a.Sentence, RetryAfter: a.RetryAfter, err: err}
}

// ProblemBase begins the type of every problem; the code follows.
const ProblemBase = "https://github.com/caddy-registry-auth/caddy-registry-auth/blob/main/docs/management.md#"

// Problem is the body of an answer that is an error (RFC 9457).
type Problem struct {
	Type      string       `json:"type" doc:"What is wrong, as an address that stays the same." max:"300"`
	Title     string       `json:"title" doc:"What is wrong, in short." max:"100"`
	Status    int          `json:"status" doc:"The status of the answer."`
	Detail    string       `json:"detail,omitempty" doc:"What is wrong this time, for people to read." max:"10000"`
	Errors    []FieldError `json:"errors,omitempty" doc:"What is wrong with the fields of the body or of the query."`
	RequestID string       `json:"request_id,omitempty" doc:"The id of the request in the access log." max:"200"`
}

// meaning is a code's status and title.
type meaning struct {
	status int
	title  string
}

var meanings = map[Code]meaning{
	CodeMalformed:        {http.StatusBadRequest, "The request cannot be read"},
	CodeUnauthenticated:  {http.StatusUnauthorized, "A good credential is needed"},
	CodeForbidden:        {http.StatusForbidden, "You may not do this"},
	CodeScope:            {http.StatusForbidden, "The credential is not good for this"},
	CodeCrossSite:        {http.StatusForbidden, "A page of another site cannot do this"},
	CodeUnconfirmed:      {http.StatusForbidden, "A person has to confirm this on the pages"},
	CodeTooEarly:         {http.StatusTooEarly, "The request came before the TLS handshake was over"},
	CodeNotFound:         {http.StatusNotFound, "There is no such thing"},
	CodeMethod:           {http.StatusMethodNotAllowed, "This cannot be done with it"},
	CodeExists:           {http.StatusConflict, "The name is taken"},
	CodeConflict:         {http.StatusConflict, "This cannot be done as things stand"},
	CodeDeclared:         {http.StatusConflict, "This stands in the configuration"},
	CodeRepeated:         {http.StatusConflict, "The idempotency key was used before"},
	CodeStale:            {http.StatusPreconditionFailed, "This was changed meanwhile"},
	CodeTooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large"},
	CodeUnsupportedMedia: {http.StatusUnsupportedMediaType, "The body must be JSON"},
	CodeInvalid:          {http.StatusUnprocessableEntity, "Some fields are not right"},
	CodeBusy:             {http.StatusTooManyRequests, "Too much is going on"},
	CodeUnavailable:      {http.StatusServiceUnavailable, "The store is away"},
	CodeFull:             {http.StatusInsufficientStorage, "The store is full"},
	CodeUnknown:          {http.StatusServiceUnavailable, "It is not known whether the change was made"},
	CodeUnusable:         {http.StatusServiceUnavailable, "The store cannot be used"},
	CodeInternal:         {http.StatusInternalServerError, "Something went wrong"},
}

// Status returns the HTTP status that stands for a code.
func (c Code) Status() int { return meanings[c].status }

// problem answers with an error.
func (a *API) problem(w http.ResponseWriter, r *http.Request, err error) {
	e := AsError(err)
	m := meanings[e.Code]
	a.failureHeaders(w, r, e, err)
	w.Header().Set("Content-Type", "application/problem+json")
	send(w, r, m.status, Problem{
		Type: ProblemBase + string(e.Code), Title: m.title, Status: m.status, Detail: e.Detail, Errors: e.Fields, RequestID: a.requestID(r),
	})
}

// failureHeaders sets what an error needs beside a body, and logs what is the
// fault of this side.
func (a *API) failureHeaders(w http.ResponseWriter, r *http.Request, e *Error, err error) {
	if e.Code == CodeInternal && !errors.Is(err, context.Canceled) {
		a.manager.log.Error("an operation failed", "realm", a.manager.state.Realm(), "request_id", a.requestID(r), "path", r.URL.Path, "error", err)
	}
	if e.Code == CodeFull || e.Code == CodeUnusable || (e.Code == CodeUnavailable || e.Code == CodeUnknown) && r.Context().Err() == nil {
		a.manager.log.Error("a change was not made", "realm", a.manager.state.Realm(), "request_id", a.requestID(r), "path", r.URL.Path, "error", err)
	}
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Code == CodeUnauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="registry management"`)
	}
	if e.Location != "" {
		h.Set("Location", a.prefix+e.Location)
	}
}

// send writes a JSON body; a HEAD has its length only.
func send(w http.ResponseWriter, r *http.Request, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	body = append(body, '\n')
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
