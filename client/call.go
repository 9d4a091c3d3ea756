package client

import (
	"bytes"
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

// maxAnswer is how much of an answer is read, in bytes; of a stream all is.
const maxAnswer = 256 << 20

// Do makes a call below the API's prefix. In, if it is not nil, is sent as
// JSON; out, if it is not nil, is what the answer is read into. Errors are of
// type [*Error] if the gateway refuses, [*UnreachableError] if it does not
// answer.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return c.patiently(ctx, func() error {
		root, err := c.root(ctx)
		if err != nil {
			return err
		}
		return c.send(ctx, method, root+path, query, in, out)
	})
}

// Get is Do for reading.
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodGet, path, query, nil, &out)
	return out, err
}

// patiently does something again while the gateway is not ready, for as long
// as the options say.
func (c *Client) patiently(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(c.o.Wait)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		again, after := notYet(err)
		left := time.Until(deadline)
		if !again || left <= 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(min(max(wait, after), left)):
		}
	}
}

// unknownOutcome is the code of a call that may have been done.
const unknownOutcome = "unknown-outcome"

// notYet reports whether a call was not done and may be another time, and when
// to try.
func notYet(err error) (bool, time.Duration) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Status == http.StatusServiceUnavailable && refused.Code != unknownOutcome, refused.RetryAfter
	}
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) && !unreachable.sent, 0
}

func (c *Client) send(ctx context.Context, method, address string, query url.Values, in, out any) error {
	answer, err := c.open(ctx, method, address, query, in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil || answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); media != "application/json" {
		return strange(answer)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out); err != nil {
		return &UnreachableError{sent: true, err: fmt.Errorf("the answer broke off or is no JSON: %w", err)}
	}
	return nil
}

// open sends a request and returns the answer if it is a good one.
func (c *Client) open(ctx context.Context, method, address string, query url.Values, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if in != nil || method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json") // asked for also without a body
	}
	r.Header.Set("Accept", "application/json, application/jsonl, application/problem+json")
	r.Header.Set("User-Agent", c.o.Agent)
	switch {
	case c.local && r.URL.Port() != "":
		r.Header.Set("Origin", "http://"+r.URL.Host) // where Caddy enforces one
	case !c.local && c.o.Key != "":
		r.Header.Set("Authorization", "Bearer "+c.o.Key)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, unreachable(err)
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, readError(answer)
}

// Stream makes a GET call whose answer is not JSON but lines of it, and
// returns the body, which the caller closes.
func (c *Client) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	var body io.ReadCloser
	err := c.patiently(ctx, func() error {
		root, err := c.root(ctx)
		if err != nil {
			return err
		}
		answer, err := c.open(ctx, http.MethodGet, root+path, query, nil) //nolint:bodyclose // the caller does
		if err != nil {
			return err
		}
		body = answer.Body
		return nil
	})
	return body, err
}

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
