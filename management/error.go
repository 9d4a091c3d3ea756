package management

import (
	"errors"
	"fmt"
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
