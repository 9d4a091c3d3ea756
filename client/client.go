// Package client calls the management API of a gateway, or that of the Caddy
// on this machine over its administration endpoint. It knows how calls are
// made, paged and refused; what is sent and received are the caller's types.
package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// DefaultPrefix is where a gateway has its API, if the address does not say.
const DefaultPrefix = "/auth/api/v1"

// LocalPrefix is where Caddy's administration endpoint has the realms.
const LocalPrefix = "/registry-auth/"

// StorePrefix is where it has what concerns the whole store.
const StorePrefix = "/registry-auth-store/"

// Options make a [Client].
type Options struct {
	// Address is the URL of a gateway, such as https://registry.example.com,
	// with a path if its API is elsewhere than usual; or the address of a
	// Caddy's administration endpoint, such as localhost:2019 or
	// unix//run/caddy/admin.sock.
	Address string
	// Key is what the client shows to a gateway. It is never sent to an
	// administration endpoint.
	Key string
	// Realm is which one of an administration endpoint; empty: the only one.
	Realm string
	// InsecureHTTP lets the key go over a connection that others can read.
	InsecureHTTP bool
	// Wait is how long calls are tried again while the gateway cannot be
	// reached or says that it is not ready.
	Wait time.Duration
	// Agent is the User-Agent.
	Agent string
}

// Client calls one API. It is safe for concurrent use.
type Client struct {
	base  string // without a slash at the end
	local bool
	o     Options
	http  *http.Client

	mu    sync.Mutex
	realm string // of an administration endpoint, once it is known
}

// ErrAddress is what is wrong with an address, or with how a key would be sent
// there.
var ErrAddress = errors.New("address")

// New makes a client. Nothing is sent yet.
func New(o Options) (*Client, error) {
	c := &Client{o: o, realm: o.Realm}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: connectTimeout}
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport.DialContext = dialer.DialContext
	c.http = &http.Client{
		Transport: transport,
		// A key must not follow to where it was not meant for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if strings.Contains(o.Address, "://") {
		base, err := gatewayURL(o)
		if err != nil {
			return nil, err
		}
		c.base = base
		return c, nil
	}
	a, err := parseAdmin(o.Address)
	if err != nil {
		return nil, err
	}
	c.local, c.base = true, "http://"+a.host
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, a.network, a.target)
	}
	return c, nil
}

// connectTimeout is how long a connection may take to be made.
const connectTimeout = 10 * time.Second

// Local reports whether the client is for an administration endpoint.
func (c *Client) Local() bool { return c.local }

// gatewayURL checks the URL of a gateway.
func gatewayURL(o Options) (string, error) {
	u, err := url.Parse(o.Address)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: it is no URL", ErrAddress) // the error would repeat a password
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", fmt.Errorf("%w %q: want https://host", ErrAddress, u.Redacted())
	case u.User != nil:
		return "", fmt.Errorf("%w %q: it must not have a user or password", ErrAddress, u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%w %q: want no query and no fragment", ErrAddress, u.Redacted())
	case u.Scheme == "http" && o.Key != "" && !o.InsecureHTTP && !loopback.Is(u.Hostname()):
		return "", fmt.Errorf("%w %q: others could read the key on its way: use https", ErrAddress, u.Redacted())
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if path == "" {
		path = DefaultPrefix
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// Path joins the elements of a path: a robot "team-a+ci" is
// Path("robots", "team-a+ci").
func Path(elements ...string) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString("/" + url.PathEscape(e))
	}
	return b.String()
}

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// All goes through a list, page by page, as it is needed. After an error there
// is nothing more.
func All[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := maps.Clone(query)
		if q == nil {
			q = url.Values{}
		}
		for {
			p, err := Get[page[T]](ctx, c, path, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			q.Set("cursor", p.Next)
		}
	}
}

// Collect returns a list as a whole, at most so many members of it; 0 is all.
func Collect[T any](ctx context.Context, c *Client, path string, query url.Values, most int) ([]T, error) {
	list := []T{}
	for item, err := range All[T](ctx, c, path, query) {
		if err != nil {
			return nil, err
		}
		if list = append(list, item); len(list) == most {
			break
		}
	}
	return list, nil
}
