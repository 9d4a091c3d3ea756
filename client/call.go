package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
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

// notYet reports whether a call was not done and may be another time, and when
// to try.
func notYet(err error) (bool, time.Duration) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Status == http.StatusServiceUnavailable, refused.RetryAfter
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
