package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// Error is a gateway's refusal (RFC 9457).
type Error struct {
	// Status is the HTTP status, Code the last part of the problem's type, such
	// as "not-found": codes stay the same from version to version.
	Status int
	Code   string
	// Title says what is wrong in short, Detail what is wrong this time.
	Title, Detail string
	// Fields are what is wrong with what was sent.
	Fields []FieldError
	// RequestID is what the gateway's log calls the request.
	RequestID string
	// RetryAfter is how long to wait, 0 if waiting does not help.
	RetryAfter time.Duration
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	text += " (" + e.Code + ")"
	for _, f := range e.Fields {
		text += "\n  " + f.Field + ": " + f.Detail
	}
	return text
}

// UnreachableError is that there was no answer, or none of this API.
type UnreachableError struct {
	sent bool // something may have been done
	err  error
}

func (e *UnreachableError) Error() string { return "the gateway cannot be reached: " + e.err.Error() }

// Unwrap returns why.
func (e *UnreachableError) Unwrap() error { return e.err }

// unreachable says why a request got no answer. The URL is left out: the
// caller knows it.
func unreachable(err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var dial *net.OpError
	return &UnreachableError{sent: !errors.As(err, &dial) || dial.Op != "dial", err: err}
}

// maxProblem is how large a refusal may be, in bytes.
const maxProblem = 1 << 20

// readError makes an error of an answer that is none of the good ones.
func readError(answer *http.Response) error {
	media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		return &UnreachableError{sent: true, err: err}
	}
	var problem struct {
		Type      string       `json:"type"`
		Title     string       `json:"title"`
		Detail    string       `json:"detail"`
		Errors    []FieldError `json:"errors"`
		RequestID string       `json:"request_id"`
		Error     string       `json:"error"` // of Caddy's administration endpoint
	}
	isJSON := json.Unmarshal(raw, &problem) == nil
	e := &Error{Status: answer.StatusCode, RetryAfter: retryAfter(answer)}
	switch {
	case media == "application/problem+json" && isJSON:
		_, e.Code, _ = strings.Cut(path.Base(problem.Type), "#")
		e.Title, e.Detail, e.Fields, e.RequestID = problem.Title, problem.Detail, problem.Errors, problem.RequestID
	case answer.StatusCode == http.StatusServiceUnavailable:
		e.Code, e.Title = "unavailable", "The gateway is not ready"
	case isJSON && problem.Error != "":
		e.Code, e.Title = strconv.Itoa(answer.StatusCode), problem.Error
	default:
		return strange(answer)
	}
	return e
}

// strange is the error for an answer that does not come from this API.
func strange(answer *http.Response) error {
	text := answer.Status
	if to := answer.Header.Get("Location"); to != "" {
		text += " to " + to
	}
	return &UnreachableError{sent: true, err: fmt.Errorf("it answers %s, which is not of this API: is the address right, and is registry_auth configured there?", text)}
}

// retryAfter reads the header, in seconds.
func retryAfter(answer *http.Response) time.Duration {
	n, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}
