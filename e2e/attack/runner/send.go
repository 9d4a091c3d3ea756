package runner

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerLimit bounds how much of an answer is read.
const answerLimit = 8 << 20

// request is a row with its placeholders filled in.
type request struct {
	method, target string
	headers        [][2]string
	body           string
	raw            bool
}

// answer is what came of it.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	elapsed time.Duration
}

// bytes returns the request as it goes over the wire: the row's own lines,
// with Host and, where there is a body and nothing says how long it is,
// Content-Length added.
func (q *request) bytes(host string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\n", q.method, q.field(q.target))
	if !q.has("Host") {
		fmt.Fprintf(&out, "Host: %s\r\n", host)
	}
	for _, h := range q.headers {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], q.field(h[1]))
	}
	writes := q.method == http.MethodPost || q.method == http.MethodPut || q.method == http.MethodPatch
	if (q.body != "" || writes) && !q.has("Content-Length") && !q.has("Transfer-Encoding") {
		fmt.Fprintf(&out, "Content-Length: %d\r\n", len(q.body))
	}
	out.WriteString("\r\n")
	out.WriteString(q.body)
	return out.Bytes()
}

// field repairs a value that would end the line that it stands in: HTTP can
// carry a lone CR (to be refused), but no line break. Raw rows are not touched.
func (q *request) field(value string) string {
	if q.raw {
		return value
	}
	return strings.NewReplacer("\r\n", "\r ", "\n", " ").Replace(value)
}

func (q *request) has(name string) bool {
	for _, h := range q.headers {
		if strings.EqualFold(h[0], name) {
			return true
		}
	}
	return false
}

// send sends a request to the stage, under the name that the stage goes by.
func (r *Runner) send(ctx context.Context, q *request, from net.IP) (*answer, error) {
	return q.send(ctx, r.stage.Addr, r.host, from)
}

// send sends the request from a loopback address of the caller's choice, so
// that rows do not share the gateway's counters of failures.
func (q *request) send(ctx context.Context, addr, host string, from net.IP) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	start := time.Now()
	go func() { _, _ = conn.Write(q.bytes(host)) }() // an early answer ends the connection under it
	method := q.method
	if method != http.MethodHead {
		method = http.MethodGet // only whether there is a body matters here
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil && res.StatusCode < 400 {
		return nil, fmt.Errorf("broken answer %s: %w", res.Status, err)
	}
	return &answer{status: res.StatusCode, header: res.Header, body: body, elapsed: time.Since(start)}, nil
}
